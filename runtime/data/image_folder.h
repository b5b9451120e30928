// One folder per class: the part that only readers of data folders need.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "class_table.h"
#include "files.h"

namespace moproc::data {

// The names of the classes of a folder with one folder per class, plain or packed, without its images. Throws
// DatasetError if there is none.
ClassTable classes_of_folders(const std::string& folder);

// What the folder `name` in a data folder holds ("": the data folder itself), hidden entries aside: at least one
// folder; or images and no folder; or neither.
enum class FolderKind { absent, folders, images, neither };
FolderKind kind_of_folder(const std::string& folder, const std::string& name, const Files& files);

// The images in a folder and in those below it, by their endings, sorted; names are relative to it.
struct FolderImages {
  std::vector<std::string> names;
  std::size_t hidden = 0;  // files and folders that are hidden, and so not used
};

// Throws DatasetError if a folder cannot be read.
FolderImages images_below(const std::string& folder);

// The number of a class. Throws UnknownClass, with the class that is meant if one is spelled alike (class_spelling.h).
std::int64_t known_class(const ClassTable& table, const std::string& folder, const std::string& name);

// The number of images in the class folders of a plain folder, but at most `most`; `most` if it cannot be read. Throws
// DatasetError if a class, or a folder passed while counting, is a link to a folder above it.
std::size_t images_up_to(const std::string& folder, std::size_t most);

// The names of all classes of a packed folder, one per line, also of those without images.
inline constexpr const char* kPackedClasses = "shards/classes.txt";

}  // namespace moproc::data
