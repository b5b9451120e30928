// y[n, p, q, c] = max of the KERNEL x KERNEL window of x[n, h, w, c] at (p, q) * STRIDE - PAD. Padding is never the
// maximum; the maximum of a window with a NaN is NaN. Mapping: one thread per vector of 8 channels of one pixel of y,
// in memory order. The loads of all taps of a window are in flight together, and taps that windows share come from L1.
// Memory bound.
//
// Grid: pool_tasks(rows * P * Q, C). Constants: C, H, W, P, Q, KERNEL, STRIDE, PAD, THREADS (256). struct X: prologue
// over (n, h * w, c); struct Y: epilogue over (n, p * q, c), without sums. Fewer than 2^31 vectors.
#pragma once

#include "cuda/sums.cuh"

namespace moproc {

constexpr int pool_threads = 256;
MOPROC_BOTH constexpr int64_t pool_tasks(int64_t pixels, int c) {
  return ceil_div(pixels * ((c + 7) / 8), pool_threads);
}

/// The index in [0, size) that is nearest to i.
MOPROC_INLINE int clamped(int i, int size) { return i < 0 ? 0 : i < size ? i : size - 1; }

template <class K>
__device__ void max_pool(const Params& p) {
  using Y = typename K::Y;
  static_assert(consistent<Y> && partial_values<Y> == 0, "max_pool: this template takes no channel sums");
  static_assert(K::THREADS == pool_threads, "max_pool: blocks of 256 threads");
  static_assert(K::PAD < K::KERNEL && (K::P - 1) * K::STRIDE - K::PAD < K::H && (K::Q - 1) * K::STRIDE - K::PAD < K::W,
                "max_pool: every window has an element of x");
  constexpr unsigned vectors = (K::C + 7) / 8;
  const unsigned t = blockIdx.x * pool_threads + threadIdx.x, pixel = t / vectors, image = pixel / (K::P * K::Q);
  if (image >= static_cast<unsigned>(p.rows)) return;
  const int c = static_cast<int>(t % vectors) * 8, lanes = K::C % 8 == 0 ? 8 : static_cast<int>(smaller(8, K::C - c));
  const int h0 = static_cast<int>(pixel / K::Q % K::P) * K::STRIDE - K::PAD;
  const int w0 = static_cast<int>(pixel % K::Q) * K::STRIDE - K::PAD;
  const int64_t n = image, g = n / (p.rows / p.groups);
  Vec best(__int_as_float(static_cast<int>(0xff800000u))), none[1];
#pragma unroll
  for (int i = 0; i < K::KERNEL; ++i)
#pragma unroll
    for (int j = 0; j < K::KERNEL; ++j) {
      // A tap outside the image reads its neighbour inside, which also belongs to the window, so no branch separates
      // the loads.
      const At at{(n * K::H + clamped(h0 + i, K::H)) * K::W + clamped(w0 + j, K::W), n, g, c};
      best = nan_max(best, operand<typename K::X, K::C>(p, at, lanes));
    }
  Y::store(p, At{static_cast<int64_t>(pixel), n, g, c}, lanes, best, none);
}

}  // namespace moproc
