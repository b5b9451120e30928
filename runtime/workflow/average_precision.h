// Average precision as the published low-shot script computes it (and VOC from 2010 on).
#pragma once

#include <cstdint>
#include <span>

namespace moproc::train {

/// Area under precision over recall, where each precision is the best at its recall or a higher one. `scores` and
/// `relevant` are of the same images, in any order; of equal scores the later image ranks higher. NaN when no image is
/// relevant.
double average_precision(std::span<const double> scores, std::span<const int8_t> relevant);

}  // namespace moproc::train
