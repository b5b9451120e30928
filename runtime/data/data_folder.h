// The layouts of a data folder, and its training and validation images. The layouts are WebVision's (there is info/),
// the user's own lists (train.csv or train.jsonl, and val.*; see table_list.h), one folder per class in train/ and in
// val/, and one folder per class in the data folder itself, which then has no validation images of its own.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "dataset.h"

namespace moproc::data {

enum class Layout { webvision, lists, split_folders, class_folders };

// Recognises the layout. A folder `train` or `val` that holds images and no folder is a class of that name. Throws
// DatasetError if `folder` has none of the layouts, or two of them.
Layout layout_of(const std::string& folder);

// Whether the data folder has images of a split.
bool has_split(const std::string& folder, Split split);
inline bool has_validation(const std::string& folder) { return has_split(folder, Split::val); }

// Reads one split. Names are relative to `folder`. Throws DatasetError, also if the folder has no such split.
Dataset read_folder(const std::string& folder, Split split, const ListOptions& options);

// The classes of a data folder's training images, or of its validation images if there are no others, without a list of
// the images; empty if they have no names. Throws DatasetError.
ClassTable read_classes(const std::string& folder, const ListOptions& options);

// Throws UnknownClass if a folder of validation images, in a folder with train/ and val/, is a class that the training
// images do not have. Reads names of folders only.
void require_known_classes(const std::string& folder);

// Whether the images lie in a plain folder per class, so that only a pass over the folders tells their number.
bool has_class_folders(const std::string& folder);

// The number of images of a split in such a folder, but at most `most`; 0 if it has none of the split. Throws
// DatasetError if a folder that it passes, or any class, is a link to a folder above.
std::size_t count_images(const std::string& folder, Split split, std::size_t most);

// The number of classes of a data folder: its class folders, or the lines of classes.txt or info/synsets.txt. If it
// names no classes: those of options.classes, 1000 for WebVision, or by the largest label of its list. Throws
// DatasetError.
int count_classes(const std::string& folder, const ListOptions& options);

// Holds out images for validation: of each class with two or more images, the nearest whole number to `share` of them,
// at least one and never all. Which ones follows from `seed` and their names, whatever other images there are. Returns
// the others and the held-out ones, both in list order. Throws std::invalid_argument if share is not in (0, 1).
std::pair<Dataset, Dataset> hold_out(const Dataset& all, double share, std::uint64_t seed);

}  // namespace moproc::data
