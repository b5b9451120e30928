// One folder per class: the part that only readers of data folders need.
#pragma once

#include <string>

#include "class_table.h"

namespace moproc::data {

// The names of the classes of a folder with one folder per class, plain or packed, without its images. Throws
// DatasetError if there is none.
ClassTable classes_of_folders(const std::string& folder);

// The names of all classes of a packed folder, one per line, also of those without images.
inline constexpr const char* kPackedClasses = "shards/classes.txt";

}  // namespace moproc::data
