// Reads truth.json, the true classes of training images. They serve to measure how well noise is handled; training does
// not use them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace moproc::train {

/// The true class of each image of the list, in its order: kNoClass if the file says null, kUnknown if it does not name
/// the image. The file is {"train": {"google/...jpg": 3, "flickr/...jpg": null}}; a class is its number,
/// counted from 0 whatever --first-label is, or its name. Throws InputError, naming file and image, if the file cannot
/// be read, has another form or a class that does not exist, or names no image of the list.
std::vector<int64_t> read_truth(const std::string& path, const data::Dataset& train);

/// Throws InputError as read_truth() does, except for what needs the list. Names of classes are looked up in `classes`
/// if it has names.
void check_truth(const std::string& path, const data::ClassTable& classes);

}  // namespace moproc::train
