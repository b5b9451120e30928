// Operations across the lanes of a Vec: reductions of contiguous elements, and the square transpose. A row is summed
// in 64 interleaved partial sums, whatever the register width, so both widths give the same bits.
#pragma once

#include <cstdint>

#include "cpu/vec.hpp"

namespace moproc {

/// x in the first `lanes` lanes, `fill` in the others.
MOPROC_INLINE Vec keep(Vec x, int lanes, Vec fill) {
#if defined(__AVX512F__)
  return _mm512_mask_blend_ps(lane_mask(lanes), fill.r, x.r);
#else
  return _mm256_blendv_ps(fill.r, x.r, _mm256_castsi256_ps(lane_mask(lanes)));
#endif
}

/// The larger of the two, or NaN if either is NaN (Vec's max drops a NaN in its first operand).
MOPROC_INLINE Vec nan_max(Vec best, Vec x) { return select(x == x, select(x > best, x, best), x); }

MOPROC_INLINE int lanes_of(int64_t left) { return static_cast<int>(smaller(left, Vec::width)); }

/// Combines f(c, lanes) for c = 0, width, ... < n by `join`, from `start`, in 64 interleaved partial results.
template <class F, class J>
MOPROC_INLINE Vec fold_over(int64_t n, Vec start, F f, J join) {
  constexpr int W = Vec::width, A = 64 / W,
                H = 16 / W;  // A accumulators, H of them side by side make 16 lanes
  Vec acc[A];
#pragma GCC unroll 8
  for (int j = 0; j < A; ++j) acc[j] = start;
  int64_t c = 0;
  for (; c + 64 <= n; c += 64)
#pragma GCC unroll 8
    for (int j = 0; j < A; ++j) acc[j] = join(acc[j], f(c + j * W, W));
#pragma GCC unroll 8
  for (int j = 0; j < A; ++j) {
    const int64_t at = c + j * W;
    if (at < n) acc[j] = join(acc[j], keep(f(at, lanes_of(n - at)), lanes_of(n - at), start));
  }
#pragma GCC unroll 8
  for (int j = 0; j < H; ++j) acc[j] = join(join(acc[j], acc[j + H]), join(acc[j + 2 * H], acc[j + 3 * H]));
  return H == 1 ? acc[0] : join(acc[0], acc[H - 1]);
}

/// Sum of f(c, lanes) over the elements c < n.
template <class F>
MOPROC_INLINE float sum_over(int64_t n, F f) {
  return sum_lanes(fold_over(n, Vec(0.0f), f, [](Vec a, Vec b) { return a + b; }));
}

/// Maximum of f(c, lanes) over the elements c < n; NaN if any is NaN, -infinity if n is 0.
template <class F>
MOPROC_INLINE float max_over(int64_t n, F f) {
  alignas(64) float x[Vec::width];
  store(x, fold_over(n, Vec(-__builtin_inff()), f, [](Vec a, Vec b) { return nan_max(a, b); }));
  float best = x[0];
  for (int i = 1; i < Vec::width; ++i) best = !(x[i] == x[i]) || x[i] > best ? x[i] : best;
  return best;
}

/// Square transpose: swaps lane j of x[i] and lane i of x[j].
#if defined(__AVX512F__)
MOPROC_INLINE void transpose(Vec (&x)[16]) {
  __m512 a[16], b[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {  // pairs of rows
    a[i] = _mm512_unpacklo_ps(x[i].r, x[i + 1].r);
    a[i + 1] = _mm512_unpackhi_ps(x[i].r, x[i + 1].r);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {  // b[i + j]: column 4 * l + j of rows i .. i + 3 in 128-bit part l
    b[i] = _mm512_shuffle_ps(a[i], a[i + 2], 0x44);
    b[i + 1] = _mm512_shuffle_ps(a[i], a[i + 2], 0xee);
    b[i + 2] = _mm512_shuffle_ps(a[i + 1], a[i + 3], 0x44);
    b[i + 3] = _mm512_shuffle_ps(a[i + 1], a[i + 3], 0xee);
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const __m512 even01 = _mm512_shuffle_f32x4(b[j], b[4 + j], 0x88),
                 odd01 = _mm512_shuffle_f32x4(b[j], b[4 + j], 0xdd);
    const __m512 even23 = _mm512_shuffle_f32x4(b[8 + j], b[12 + j], 0x88),
                 odd23 = _mm512_shuffle_f32x4(b[8 + j], b[12 + j], 0xdd);
    x[j] = _mm512_shuffle_f32x4(even01, even23, 0x88);
    x[8 + j] = _mm512_shuffle_f32x4(even01, even23, 0xdd);
    x[4 + j] = _mm512_shuffle_f32x4(odd01, odd23, 0x88);
    x[12 + j] = _mm512_shuffle_f32x4(odd01, odd23, 0xdd);
  }
}
#else
MOPROC_INLINE void transpose(Vec (&x)[8]) {
  __m256 a[8], b[8];
#pragma GCC unroll 4
  for (int i = 0; i < 8; i += 2) {  // pairs of rows
    a[i] = _mm256_unpacklo_ps(x[i].r, x[i + 1].r);
    a[i + 1] = _mm256_unpackhi_ps(x[i].r, x[i + 1].r);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {  // b[i + j]: column 4 * l + j of rows i .. i + 3 in 128-bit part l
    b[i] = _mm256_shuffle_ps(a[i], a[i + 2], 0x44);
    b[i + 1] = _mm256_shuffle_ps(a[i], a[i + 2], 0xee);
    b[i + 2] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0x44);
    b[i + 3] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0xee);
  }
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    x[j] = _mm256_permute2f128_ps(b[j], b[4 + j], 0x20);
    x[4 + j] = _mm256_permute2f128_ps(b[j], b[4 + j], 0x31);
  }
}
#endif

}  // namespace moproc
