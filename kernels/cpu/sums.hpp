// Channel sums and moments of stored results. Each tile writes partials to the workspace, and a balanced tree per group
// adds them. The shape alone decides how one group's part of the domain is divided into tiles, so neither the thread
// count nor the batch size changes a bit. In a convolution many short runs (register tiles) make up a tile, and tiles
// differ in size. Workspace: (group, tile, value, channels padded to 16) f32; the values are Y::sums sums, then mean
// and M2 if Y stores moments.
#pragma once

#include "common/sums.h"
#include "cpu/lanes.hpp"
#include "cpu/leaf.hpp"
#include "cpu/math.hpp"

namespace moproc {

/// Chan's update of (mean, m2) of `n` values with (mean_b, m2_b) of `nb` more; n may be 0.
MOPROC_INLINE void combine_moments(Vec& mean, Vec& m2, int64_t n, Vec mean_b, Vec m2_b, int64_t nb) {
  const float share = static_cast<float>(static_cast<double>(nb) / static_cast<double>(n + nb));
  const Vec delta = mean_b - mean;
  mean = fma(delta, Vec(share), mean);
  m2 = fma(delta * delta, Vec(share * static_cast<float>(n)), m2 + m2_b);
}

/// Values per channel that tile.hpp keeps for a second pass over its moments.
constexpr int max_store_run = 32;

/// Stores `count` > 0 results of one channel vector in order and adds them to the partials at `partial` (unused if Y
/// has none). The partials already hold `before` values of this tile; 0 starts them. at(i) and value(i) give position
/// and raw result of the i-th.
/// Moments take one pass over the distances d from the mean so far (or from the first value): M2 grows by sum d^2 -
/// (sum d)^2 / n, whose terms can cancel by a factor of at most 1 + count, and of at most 2 if before >= count.
template <class Y, int C, class AtOf, class ValueOf>
MOPROC_INLINE void store_run(const Params& p, float* partial, int64_t before, int count, int lanes, AtOf at,
                             ValueOf value) {
  constexpr int S = Y::sums, stride = padded_channels(C);
  float* const moments = partial + S * stride;
  Vec sum[S > 0 ? S : 1], pivot, m2, d1, d2;
  if (before > 0) {
    for (int k = 0; k < S; ++k) sum[k] = load(partial + k * stride);
    if constexpr (has_moments<Y>) pivot = load(moments), m2 = load(moments + stride);
  }
  for (int i = 0; i < count; ++i) {
    Vec term[S > 0 ? S : 1];
    const Vec stored = Y::store(p, at(i), lanes, value(i), term);
    for (int k = 0; k < S; ++k) sum[k] = sum[k] + term[k];
    if constexpr (has_moments<Y>) {
      if (i == 0 && before == 0) pivot = stored;
      const Vec d = stored - pivot;
      d1 = d1 + d;
      d2 = fma(d, d, d2);
    }
  }
  for (int k = 0; k < S; ++k) store(partial + k * stride, sum[k]);
  if constexpr (has_moments<Y>) {
    const Vec mean_d = d1 * Vec(1.0f / static_cast<float>(before + count));
    store(moments, pivot + mean_d);
    store(moments + stride, m2 + fma(-d1, mean_d, d2));
  }
}

/// Number of tasks of the phase that combines partials; 0 if Y has none.
template <class Y, int C>
constexpr int64_t combine_tasks(int64_t groups) {
  return partial_values<Y> > 0 ? groups * ((C + Vec::width - 1) / Vec::width) : 0;
}

/// Phase 1: task (group, channel vector) combines the group's `tiles` partials in place in a balanced tree and stores
/// the results. first(i): values per channel in the tiles before tile i, for i in 0..tiles.
template <class Y, int C, class FirstOf>
MOPROC_INLINE void combine_partials(const Params& p, const Task& t, int64_t tiles, FirstOf first) {
  constexpr int S = Y::sums, stride = padded_channels(C), vectors = (C + Vec::width - 1) / Vec::width;
  constexpr int64_t size = static_cast<int64_t>(partial_values<Y>) * stride;
  for (int64_t task = t.begin; task < t.end; ++task) {
    const int64_t group = task / vectors;
    const int c = static_cast<int>(task % vectors) * Vec::width;
    const int lanes = C - c < Vec::width ? C - c : Vec::width;
    float* const a = tile_partial<Y, C>(p, group, tiles, 0, c);
    for (int64_t step = 1; step < tiles; step *= 2) {
      for (int64_t i = 0; i + step < tiles; i += 2 * step) {
        float *x = a + i * size, *y = a + (i + step) * size;
        for (int k = 0; k < S; ++k) store(x + k * stride, load(x + k * stride) + load(y + k * stride));
        if constexpr (has_moments<Y>) {
          x += S * stride, y += S * stride;
          Vec mean = load(x), m2 = load(x + stride);
          const int64_t end = i + 2 * step < tiles ? i + 2 * step : tiles;
          const int64_t n = first(i + step) - first(i), nb = first(end) - first(i + step);
          combine_moments(mean, m2, n, load(y), load(y + stride), nb);
          store(x, mean);
          store(x + stride, m2);
        }
      }
    }
    const int64_t at = group * C + c;
    for (int k = 0; k < S; ++k) store(static_cast<float*>(p.buf[Y::sum_buffer[k]]) + at, load(a + k * stride), lanes);
    if constexpr (Y::mean_buffer >= 0)
      store(static_cast<float*>(p.buf[Y::mean_buffer]) + at, load(a + S * stride), lanes);
    if constexpr (Y::m2_buffer >= 0)
      store(static_cast<float*>(p.buf[Y::m2_buffer]) + at, load(a + (S + 1) * stride), lanes);
  }
}

}  // namespace moproc
