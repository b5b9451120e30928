// Which taps of a convolution's weights contribute to a position of the input's gradient.
#pragma once

#include "common/sizes.h"

namespace moproc {

/// One direction (rows or columns): position a + stride * i of the gradient reads dy[i + first .. i + first + taps -
/// 1], with weights tap0, tap0 - stride, ...
struct TapRun {
  int taps, first, tap0;
};
/// The run for positions whose residue is a, 0 <= a < stride; `taps` is the number of taps of the weights in this
/// direction.
MOPROC_BOTH constexpr TapRun tap_run(int a, int stride, int pad, int taps) {
  const int r0 = (a + pad) % stride, n = r0 < taps ? (taps - 1 - r0) / stride + 1 : 0;
  return {n, (a + pad) / stride - n + 1, r0 + (n - 1) * stride};
}

}  // namespace moproc
