// Runs an epilogue over a tile of the domain, with sums and moments. The workspace layout and phase 1 are in sums.hpp.
// The sums of four channel vectors stay in registers over all pixels of the tile.
#pragma once

#include "cpu/sums.hpp"

namespace moproc {

/// The current pixel of a tile and its row; next() advances by one pixel.
template <int64_t PIXELS>
struct PixelWalk {
  int64_t pixel, row, next_row;
  MOPROC_INLINE explicit PixelWalk(int64_t first) : pixel(first), row(first / PIXELS), next_row((row + 1) * PIXELS) {}
  MOPROC_INLINE void next() {
    if (++pixel == next_row) ++row, next_row += PIXELS;
  }
};

/// run_tile for N channel vectors from channel c0, with sums or moments.
template <class Y, int C, int64_t PIXELS, int N, class F>
MOPROC_INLINE void run_columns(const Params& p, int64_t group, int64_t first, int64_t count, int c0, float* partial,
                               F value) {
  constexpr int W = Vec::width, S = Y::sums, stride = padded_channels(C), run = max_store_run;
  Vec sum[S > 0 ? S : 1][N], mean[N], m2[N];
  PixelWalk<PIXELS> at(first);
  for (int64_t done = 0; done < count; done += run) {
    const int64_t stop = smaller(done + run, count);
    Vec kept[has_moments<Y> ? run : 1][N], total[N];
    for (int64_t i = done; i < stop; ++i, at.next()) {
#pragma GCC unroll 4
      for (int v = 0; v < N; ++v) {
        const int c = c0 + v * W, lanes = N > 1 ? W : lanes_of(C - c);
        Vec term[S > 0 ? S : 1];
        const Vec y = Y::store(p, At{at.pixel, at.row, group, c}, lanes, value(i, c, lanes), term);
#pragma GCC unroll 8
        for (int k = 0; k < S; ++k) sum[k][v] = sum[k][v] + term[k];
        if constexpr (has_moments<Y>) total[v] = total[v] + (kept[i - done][v] = y);
      }
    }
    if constexpr (has_moments<Y>) {
      for (int v = 0; v < N; ++v) {
        const Vec mean_b = total[v] / Vec(static_cast<float>(stop - done));
        Vec m2_b;
        for (int64_t i = 0; i < stop - done; ++i) m2_b = fma(kept[i][v] - mean_b, kept[i][v] - mean_b, m2_b);
        combine_moments(mean[v], m2[v], done, mean_b, m2_b, stop - done);
      }
    }
  }
  for (int v = 0; v < N; ++v) {
    float* const at_v = partial + c0 + v * W;
    for (int k = 0; k < S; ++k) store(at_v + k * stride, sum[k][v]);
    if constexpr (has_moments<Y>) {
      store(at_v + S * stride, mean[v]);
      store(at_v + (S + 1) * stride, m2[v]);
    }
  }
}

/// run_block with sums and many channels: pixel by pixel in memory order. The sums stay in the partials, in cache.
template <class Y, int C, int64_t PIXELS, class F>
MOPROC_INLINE void run_pixels(const Params& p, int64_t group, int64_t first, int64_t count, int c0, int end,
                              float* partial, F value) {
  constexpr int W = Vec::width, S = Y::sums, stride = padded_channels(C);
  for (int k = 0; k < S; ++k)
    for (int c = c0; c < end; c += W) store(partial + k * stride + c, Vec());
  const auto one = [&](const PixelWalk<PIXELS>& at, int64_t i, int c, int lanes) __attribute__((always_inline)) {
    Vec term[S];
    Y::store(p, At{at.pixel, at.row, group, c}, lanes, value(i, c, lanes), term);
#pragma GCC unroll 8
    for (int k = 0; k < S; ++k) {
      float* const sum = partial + k * stride + c;
      store(sum, load(sum) + term[k]);
    }
  };
  PixelWalk<PIXELS> at(first);
  for (int64_t i = 0; i < count; ++i, at.next()) {
    int c = c0;
    for (; c + W <= end; c += W) one(at, i, c, W);
    if (c < end) one(at, i, c, end - c);
  }
}

/// Calls Y::store once for each vector of channels [c0, c0 + columns) of pixels [first, first + count) of `group` (C
/// channels, PIXELS per row) with the raw result value(index in the block, c, lanes). If Y has partials, they are
/// written to `partial` (tile_partial at channel 0). c0 must be a multiple of 16, and so must columns unless the block
/// ends at C.
template <class Y, int C, int64_t PIXELS, class F>
MOPROC_INLINE void run_block(const Params& p, int64_t group, int64_t first, int64_t count, int c0, int columns,
                             float* partial, F value) {
  constexpr int W = Vec::width, V = 4;
  const int end = c0 + columns;
  if constexpr (partial_values<Y> == 0) {  // no sums to keep in registers, so in memory order
    PixelWalk<PIXELS> at(first);
    Vec none[1];
    for (int64_t i = 0; i < count; ++i, at.next()) {
      int c = c0;
      for (; c + W <= end; c += W) Y::store(p, At{at.pixel, at.row, group, c}, W, value(i, c, W), none);
      if (c < end) Y::store(p, At{at.pixel, at.row, group, c}, end - c, value(i, c, end - c), none);
    }
  } else if (!has_moments<Y> && columns > V * W) {
    if constexpr (!has_moments<Y>) run_pixels<Y, C, PIXELS>(p, group, first, count, c0, end, partial, value);
  } else {
    int c = c0;
    for (; c + V * W <= end; c += V * W) run_columns<Y, C, PIXELS, V>(p, group, first, count, c, partial, value);
    for (; c < end; c += W) run_columns<Y, C, PIXELS, 1>(p, group, first, count, c, partial, value);
  }
}

/// run_block over all channels.
template <class Y, int C, int64_t PIXELS, class F>
MOPROC_INLINE void run_tile(const Params& p, int64_t group, int64_t first, int64_t count, float* partial, F value) {
  run_block<Y, C, PIXELS>(p, group, first, count, 0, C, partial, value);
}

}  // namespace moproc
