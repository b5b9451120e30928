// Parts of a list of images: drawn by a seed, or named by a file.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dataset.h"

namespace moproc::data {

// floor(share * size) images of the list in list order, drawn without replacement; a function of the list's length, the
// seed and `draw` alone. Throws DatasetError when that is none, std::invalid_argument when share is not in (0, 1].
std::vector<std::uint32_t> draw_subset(const Dataset& all, double share, std::uint64_t seed, std::uint32_t draw = 0);

// The images that a file names, a line each, in the file's order: by path below the list's folder, or by file name
// alone as SimCLR's lists have it. Throws DatasetError naming file and line: unknown, named twice, ambiguous.
std::vector<std::uint32_t> read_subset(const Dataset& all, const std::string& file);

// The images of `all` at these places.
Dataset part_of(const Dataset& all, const std::vector<std::uint32_t>& places);

}  // namespace moproc::data
