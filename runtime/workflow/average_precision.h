// Average precision as the published low-shot script and, since 2010, VOC compute it.
#pragma once

#include <cstdint>
#include <span>

namespace moproc::train {

/// The area, in [0, 1], under the curve of precision over recall, after each precision is replaced by the best one at
/// its recall or a higher one. `scores` (n) and `relevant` (n; 0: not relevant) belong to the same images. If scores
/// are equal, the later image ranks higher. Returns NaN if no image is relevant.
double average_precision(std::span<const double> scores, std::span<const int8_t> relevant);

}  // namespace moproc::train
