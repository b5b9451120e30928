// truth.json: the true class of training images, for measuring how well noise is handled. Training never sees
// it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace moproc::train {

/// The true class of each image of the list, in its order: kNoClass where the file says null, kUnknown where
/// it does not name the image. The file is {"train": {"google/...jpg": 3, "flickr/...jpg": null}}. Throws
/// InputError naming file and image: unreadable, not of this form, a class out of range, no image named at
/// all.
std::vector<int64_t> read_truth(const std::string& path, const data::Dataset& train);

}  // namespace moproc::train
