// y[n, p, q, c] = max of the KERNEL x KERNEL window of x[n, h, w, c] at (p, q) * STRIDE - PAD. Padding is never the
// maximum; the maximum of a window with a NaN is NaN. Tasks: rows (n, p) of y. Memory bound.
//
// Constants: C, H, W, P, Q, KERNEL, STRIDE, PAD. struct X: prologue over (n, h * w, c); struct Y: epilogue
// over (n, p * q, c), without sums. No scratch, no workspace.
#pragma once

#include "cpu/sums.hpp"

namespace moproc {

/// Part [begin, end) of a window of `kernel` from `start` that lies inside [0, size).
struct PoolSpan {
  int start, begin, end;
};
MOPROC_INLINE PoolSpan pool_span(int out, int stride, int pad, int kernel, int size) {
  const int start = out * stride - pad;
  return {start, start < 0 ? 0 : start, start + kernel < size ? start + kernel : size};
}

template <class K>
static void max_pool(const Params& p, const Task& t) {
  using Y = typename K::Y;
  static_assert(partial_values<Y> == 0, "max_pool: this template takes no channel sums");
  for (int64_t task = t.begin; task < t.end; ++task) {
    const int64_t n = task / K::P, g = n / (p.rows / p.groups);
    const PoolSpan h = pool_span(static_cast<int>(task % K::P), K::STRIDE, K::PAD, K::KERNEL, K::H);
    for (int q = 0; q < K::Q; ++q) {
      const PoolSpan w = pool_span(q, K::STRIDE, K::PAD, K::KERNEL, K::W);
      for (int c = 0; c < K::C; c += Vec::width) {
        const int lanes = c + Vec::width <= K::C ? Vec::width : K::C - c;
        Vec best(-__builtin_inff()), none[1];
        for (int i = h.begin; i < h.end; ++i)
          for (int j = w.begin; j < w.end; ++j)
            best = nan_max(best, operand<typename K::X, K::C>(p, At{(n * K::H + i) * K::W + j, n, g, c}, lanes));
        Y::store(p, At{task * K::Q + q, n, g, c}, lanes, best, none);
      }
    }
  }
}

}  // namespace moproc
