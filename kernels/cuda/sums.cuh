// Channel sums and moments of stored results, and the load of an operand, for all templates with fused bodies. A tile
// (part of one group's pixels, by shape alone) writes partials to the workspace; combine_partials adds a group's tiles
// in a balanced tree, so neither the number of multiprocessors nor other groups change a bit. Workspace: (group, tile,
// value, channels padded to 16) f32; the values are Y::sums sums, then mean and M2 if Y stores moments.
#pragma once

#include "common/sums.h"
#include "cuda/leaf.cuh"

namespace moproc {

/// Whether Y's number of sums agrees with its buffers: an epilogue without channel sums must have neither.
template <class Y>
inline constexpr bool consistent = (Y::sums > 0) == (Y::sum_buffer[0] >= 0);

/// Elements (at, lanes) of an operand with C channels, through its prologue, or by a plain load of X::stored elements
/// if it has none.
template <class X, int C>
MOPROC_INLINE Vec operand(const Params& p, const At& at, int lanes) {
  if constexpr (X::buffer >= 0) return full<typename X::stored, C>(p, X::buffer, at, lanes);
  else return X::load(p, at, lanes);
}

/// Chan's update of (mean, m2) of `n` values with (mean_b, m2_b) of `nb` more; either count may be 0.
MOPROC_INLINE void combine_moments(float& mean, float& m2, int64_t n, float mean_b, float m2_b, int64_t nb) {
  if (nb == 0) return;
  const float share = __fdiv_rn(static_cast<float>(nb), static_cast<float>(n + nb));
  const float delta = __fsub_rn(mean_b, mean);
  mean = __fmaf_rn(delta, share, mean);
  m2 = __fmaf_rn(__fmul_rn(delta, delta), __fmul_rn(share, static_cast<float>(n)), __fadd_rn(m2, m2_b));
}

/// One thread's sums of one channel vector. Moments are computed from the distances d from the first value: M2 is sum
/// d^2 - (sum d)^2 / n, whose terms cancel by a factor of at most 1 + n, and a thread adds only some dozens of values.
template <class Y>
struct ThreadSums {
  static constexpr int S = Y::sums;
  Vec sum[S > 0 ? S : 1], pivot, d1, d2;
  int n = 0;

  /// Adds the terms and the result of one Y::store.
  MOPROC_INLINE void add(const Vec* term, const Vec& stored) {
#pragma unroll
    for (int k = 0; k < S; ++k) sum[k] = sum[k] + term[k];
    if constexpr (has_moments<Y>) {
      if (n == 0) pivot = stored;
      const Vec d = stored - pivot;
      d1 = d1 + d;
      d2 = fma(d, d, d2);
    }
    ++n;
  }
  /// Mean and M2 of the results added so far; zeros if there are none.
  MOPROC_INLINE void moments(Vec& mean, Vec& m2) const {
    const Vec mean_d = d1 * Vec(n == 0 ? 0.0f : __fdiv_rn(1.0f, static_cast<float>(n)));
    mean = pivot + mean_d;
    m2 = d2 + fma(-d1, mean_d, Vec());
  }
};

/// Combines the sums of a block of CHANNEL_THREADS * PIXEL_THREADS threads (any further threads are idle) and writes
/// the tile's partials for `channels` channels to `partial` (tile_partial of the block's first channel). Thread ty *
/// CHANNEL_THREADS + tx has added channels 8 * tx .. 8 * tx + 7 of its pixels. count(ty): values that row ty has added.
/// All threads must call it; uses 16 KB of static shared memory at 256 threads.
template <class Y, int C, int CHANNEL_THREADS, int PIXEL_THREADS, class CountOf>
MOPROC_INLINE void store_tile(const ThreadSums<Y>& mine, float* partial, int channels, CountOf count) {
  constexpr int S = Y::sums, columns = CHANNEL_THREADS * 8, stride = padded_channels(C);
  float* const held =
      shared_array<float, 2 * CHANNEL_THREADS * PIXEL_THREADS * 8>();  // two values at a time: (value, ty, channel)
  const int t = static_cast<int>(threadIdx.x);
  const auto keep = [&](int value, const Vec& v) {
    if (t < CHANNEL_THREADS * PIXEL_THREADS) store(held + (value * CHANNEL_THREADS * PIXEL_THREADS + t) * 8, v);
  };
  const auto sum_of = [&](int value, int c) {
    float total = 0.0f;
#pragma unroll 8
    for (int y = 0; y < PIXEL_THREADS; ++y) total = __fadd_rn(total, held[(value * PIXEL_THREADS + y) * columns + c]);
    return total;
  };
#pragma unroll
  for (int k = 0; k < S; k += 2) {
    keep(0, mine.sum[k]);
    if (k + 1 < S) keep(1, mine.sum[k + 1 < S ? k + 1 : k]);
    __syncthreads();
    const int values = S - k < 2 ? 1 : 2;
    for (int i = t; i < values * columns; i += static_cast<int>(blockDim.x))
      if (i % columns < channels) partial[(k + i / columns) * stride + i % columns] = sum_of(i / columns, i % columns);
    __syncthreads();
  }
  if constexpr (has_moments<Y>) {
    Vec mean, m2;
    mine.moments(mean, m2);
    keep(0, mean);
    keep(1, m2);
    __syncthreads();
    for (int c = t; c < channels; c += static_cast<int>(blockDim.x)) {
      float total = 0.0f;
      int64_t n = 0;
#pragma unroll 8
      for (int y = 0; y < PIXEL_THREADS; ++y) {
        total = __fmaf_rn(held[y * columns + c], static_cast<float>(count(y)), total);
        n += count(y);
      }
      const float all = __fdiv_rn(total, static_cast<float>(n));
      float spread = sum_of(1, c);
#pragma unroll 8
      for (int y = 0; y < PIXEL_THREADS; ++y) {
        const float d = __fsub_rn(held[y * columns + c], all);
        if (count(y) > 0) spread = __fmaf_rn(__fmul_rn(d, d), static_cast<float>(count(y)), spread);
      }
      partial[S * stride + c] = all;
      partial[(S + 1) * stride + c] = spread;
    }
    __syncthreads();
  }
}

/// Partials of one channel over a run of tiles.
template <class Y, int C>
struct Partial {
  static constexpr int S = Y::sums, stride = padded_channels(C);
  float sum[S > 0 ? S : 1] = {}, mean = 0.0f, m2 = 0.0f;

  MOPROC_INLINE void read(const float* at) {
#pragma unroll
    for (int k = 0; k < S; ++k) sum[k] = at[k * stride];
    if constexpr (has_moments<Y>) mean = at[S * stride], m2 = at[(S + 1) * stride];
  }
  MOPROC_INLINE void write(float* at) const {
#pragma unroll
    for (int k = 0; k < S; ++k) at[k * stride] = sum[k];
    if constexpr (has_moments<Y>) at[S * stride] = mean, at[(S + 1) * stride] = m2;
  }
  /// Adds the run after this one; n and nb are the values per channel of this run and of b, for the moments.
  MOPROC_INLINE void join(const Partial& b, int64_t n, int64_t nb) {
#pragma unroll
    for (int k = 0; k < S; ++k) sum[k] = __fadd_rn(sum[k], b.sum[k]);
    if constexpr (has_moments<Y>) combine_moments(mean, m2, n, b.mean, b.m2, nb);
  }
};

/// Number of blocks of the phase that combines partials; 0 if Y has none.
template <class Y, int C>
MOPROC_BOTH constexpr int64_t combine_tasks(int64_t groups) {
  return partial_values<Y> > 0 ? groups * ((C + 7) / 8) : 0;
}

/// The balanced tree over eight tiles begin, begin + step, ..., each the sum of `step` tiles from there on. Tiles past
/// the last count as zeros.
template <class Y, int C, class FirstOf>
MOPROC_INLINE Partial<Y, C> join_eight(const float* partials, int64_t tiles, int64_t begin, int64_t step,
                                       FirstOf first) {
  constexpr int64_t size = static_cast<int64_t>(partial_values<Y>) * padded_channels(C);
  Partial<Y, C> x[8];
#pragma unroll
  for (int j = 0; j < 8; ++j)
    if (begin + j * step < tiles) x[j].read(partials + (begin + j * step) * size);
  const auto before = [&](int j) { return first(smaller(begin + j * step, tiles)); };
#pragma unroll
  for (int s = 1; s < 8; s *= 2)
#pragma unroll
    for (int j = 0; j < 8; j += 2 * s)
      x[j].join(x[j + s], before(j + s) - before(j), before(j + 2 * s) - before(j + s));
  return x[0];
}

/// The phase after all tiles: block (group, channel vector) adds the group's `tiles` partials, eight neighbours at a
/// time and in place, and stores the results. first(i): values per channel in the tiles before tile i, for i in
/// 0..tiles. Latency bound: one pass per factor of 8 in the number of tiles.
template <class Y, int C, int THREADS, class FirstOf>
MOPROC_INLINE void combine_partials(const Params& p, int64_t tiles, FirstOf first) {
  constexpr int S = Y::sums, vectors = (C + 7) / 8, lanes = THREADS / 8;
  constexpr int64_t size = static_cast<int64_t>(partial_values<Y>) * padded_channels(C);
  const int64_t group = blockIdx.x / vectors;
  const int lane = static_cast<int>(threadIdx.x / 8);
  const int c = static_cast<int>(blockIdx.x % vectors) * 8 + static_cast<int>(threadIdx.x % 8);
  float* const partials = tile_partial<Y, C>(p, group, tiles, 0, c);  // c < padded_channels(C)
  int64_t step = 1;
#pragma unroll 1
  for (; step * 8 < tiles; step *= 8) {
    if (c < C)
#pragma unroll 1
      for (int64_t at = lane * 8 * step; at < tiles; at += lanes * 8 * step)
        join_eight<Y, C>(partials, tiles, at, step, first).write(partials + at * size);
    __syncthreads();
  }
  if (lane != 0 || c >= C) return;
  const Partial<Y, C> all = join_eight<Y, C>(partials, tiles, 0, step, first);
  const int64_t at = group * C + c;
  static_for<S>([&](auto k) {
    constexpr int index = decltype(k)::value, buffer = Y::sum_buffer[index];
    out<float>(p, buffer)[at] = all.sum[index];
  });
  if constexpr (Y::mean_buffer >= 0) out<float>(p, Y::mean_buffer)[at] = all.mean;
  if constexpr (Y::m2_buffer >= 0) out<float>(p, Y::m2_buffer)[at] = all.m2;
}

}  // namespace moproc
