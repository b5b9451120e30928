// dx[n, h, w, c] = sum of dy over the windows whose maximum is this element. A window's gradient goes to its first
// maximum in row-major order (to its last NaN, if it has one), which is computed again here instead of stored by
// max_pool. Tasks: (image, tile of rows of dx). A task finds the winners of all windows that overlap its rows; then
// every element adds the gradients of its windows in order, so no two tasks write the same address. Memory bound.
//
// Constants: C, H, W, P, Q, KERNEL, STRIDE, PAD (of the forward pooling). struct X, Dy: prologues over (n, h * w, c)
// and (n, p * q, c); struct Y: epilogue over (n, h * w, c) with sums and moments, which phase 1 combines (sums.hpp).
// Scratch: pool_scratch. A tile is pool_tile rows of one image.
#pragma once

#include "common/pool.h"
#include "cpu/max_pool.hpp"
#include "cpu/tile.hpp"

namespace moproc {

constexpr int pool_columns = 64;  // channels at a time
MOPROC_INLINE constexpr int64_t pool_scratch(int kernel, int stride, int p, int q) {
  return int64_t{2} * 4 * pool_windows(kernel, stride, p) * q * pool_columns;
}

/// The tap with the maximum of window h x w, as a float: row * KERNEL + column.
template <class K>
MOPROC_INLINE Vec pool_winner(const Params& p, int64_t n, int64_t g, PoolSpan h, PoolSpan w, int c, int lanes) {
  Vec best, winner;
  bool first = true;
  for (int i = h.begin; i < h.end; ++i) {
    for (int j = w.begin; j < w.end; ++j) {
      const Vec x = operand<typename K::X, K::C>(p, At{(n * K::H + i) * K::W + j, n, g, c}, lanes);
      const Vec tap(static_cast<float>((i - h.start) * K::KERNEL + (j - w.start)));
      winner = first ? tap : select(x == x, select(x > best, tap, winner), tap);
      best = first ? x : nan_max(best, x);
      first = false;
    }
  }
  return winner;
}

/// Fills winners and dy (window, channel of the block) for window rows [rows.begin, rows.end) and channels from c0.
template <class K>
static void pool_winners(const Params& p, int64_t n, int64_t g, PoolCover rows, int c0, int columns, float* winners,
                         float* dy) {
  for (int r = rows.begin; r < rows.end; ++r) {
    const PoolSpan h = pool_span(r, K::STRIDE, K::PAD, K::KERNEL, K::H);
    for (int q = 0; q < K::Q; ++q, winners += pool_columns, dy += pool_columns) {
      const PoolSpan w = pool_span(q, K::STRIDE, K::PAD, K::KERNEL, K::W);
      for (int c = 0; c < columns; c += Vec::width) {
        const int lanes = lanes_of(columns - c);
        store(winners + c, pool_winner<K>(p, n, g, h, w, c0 + c, lanes));
        store(dy + c, operand<typename K::Dy, K::C>(p, At{(n * K::P + r) * K::Q + q, n, g, c0 + c}, lanes));
      }
    }
  }
}

template <class K>
static void max_pool_grad(const Params& p, const Task& t) {
  using Y = typename K::Y;
  constexpr int tiles = (K::H + pool_tile - 1) / pool_tile;
  const int64_t images = p.rows / p.groups;
  if constexpr (partial_values<Y> > 0)
    if (t.phase == 1)
      return combine_partials<Y, K::C>(p, t, images * tiles, [&](int64_t i) {
        return (i / tiles * K::H + smaller(i % tiles * pool_tile, K::H)) * K::W;
      });
  float* const winners = static_cast<float*>(t.scratch);
  float* const dy = winners + pool_windows(K::KERNEL, K::STRIDE, K::P) * K::Q * pool_columns;
  for (int64_t task = t.begin; task < t.end; ++task) {
    const int64_t n = task / tiles, g = n / images;
    const int h0 = static_cast<int>(task % tiles) * pool_tile, h1 = static_cast<int>(smaller(h0 + pool_tile, K::H));
    const PoolCover rows{pool_cover(h0, K::STRIDE, K::PAD, K::KERNEL, K::P).begin,
                         pool_cover(h1 - 1, K::STRIDE, K::PAD, K::KERNEL, K::P).end};
    for (int c0 = 0; c0 < K::C; c0 += pool_columns) {
      const int columns = static_cast<int>(smaller(pool_columns, K::C - c0));
      pool_winners<K>(p, n, g, rows, c0, columns, winners, dy);
      run_block<Y, K::C, K::H * K::W>(
          p, g, (n * K::H + h0) * K::W, int64_t{h1 - h0} * K::W, c0, columns,
          tile_partial<Y, K::C>(p, g, images * tiles, task - g * images * tiles, 0),
          [&](int64_t index, int c, int) __attribute__((always_inline)) {
            const int h = h0 + static_cast<int>(index) / K::W, w = static_cast<int>(index) % K::W;
            const PoolCover down = pool_cover(h, K::STRIDE, K::PAD, K::KERNEL, K::P);
            const PoolCover across = pool_cover(w, K::STRIDE, K::PAD, K::KERNEL, K::Q);
            Vec sum;
            for (int r = down.begin; r < down.end; ++r) {
              for (int q = across.begin; q < across.end; ++q) {
                const int tap = (h + K::PAD - r * K::STRIDE) * K::KERNEL + (w + K::PAD - q * K::STRIDE);
                const int64_t at = ((r - rows.begin) * int64_t{K::Q} + q) * pool_columns + (c - c0);
                sum = sum + select(load(winners + at) == Vec(static_cast<float>(tap)), load(dy + at), Vec(0.0f));
              }
            }
            return sum;
          });
    }
  }
}

}  // namespace moproc
