// Subsets of a list of images: drawn from a seed, or named by a file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dataset.h"

namespace moproc::data {

// Draws floor(share * size) images of the list without replacement and returns their indices in list order. The result
// depends only on the length of the list, the seed and `draw`. Throws DatasetError if the subset is empty, and
// std::invalid_argument if share is not in (0, 1].
std::vector<std::uint32_t> draw_subset(const Dataset& all, double share, std::uint64_t seed, std::uint32_t draw = 0);

// The images that a file names, one per line, in the file's order: by path below the list's folder or its
// train/, or only by file name as in SimCLR's lists. Throws DatasetError with file and line for a name that is unknown,
// repeated or ambiguous. Names of images in `held_out` are passed over, and their number is set in `left_out`.
std::vector<std::uint32_t> read_subset(const Dataset& all, const std::string& file, const Dataset* held_out = nullptr,
                                       std::size_t* left_out = nullptr);

// The images of `all` with these indices.
Dataset part_of(const Dataset& all, const std::vector<std::uint32_t>& places);

}  // namespace moproc::data
