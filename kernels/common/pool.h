// How both devices divide the gradient of max_pool into tiles of rows, and which windows cover a position.
#pragma once

#include "common/sizes.h"

namespace moproc {

/// Rows of dx per task.
constexpr int pool_tile = 8;

/// Upper bound on the rows of windows that overlap a tile; p: all rows of windows.
MOPROC_BOTH constexpr int pool_windows(int kernel, int stride, int p) {
  return static_cast<int>(smaller((pool_tile + kernel - 2) / stride + 1, p));
}

/// The first window that covers a position of a padded axis, and one past the last such window.
struct PoolCover {
  int begin, end;
};
MOPROC_BOTH constexpr PoolCover pool_cover(int at, int stride, int pad, int kernel, int windows) {
  const int low = at + pad - kernel + 1, high = (at + pad) / stride + 1;
  return {low <= 0 ? 0 : (low + stride - 1) / stride, high < windows ? high : windows};
}

}  // namespace moproc
