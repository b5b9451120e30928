// The register tile of conv_fprop and conv_dgrad on AMX: tiles of A are 16 pixels of the slab, tiles of B 16 channels
// of the packed weights, whose rows already are pairs. Blocks of 32 pixels x 32 channels keep the unit busy: four tiles
// are loaded for four products.
#pragma once

#include "cpu/amx.hpp"
#include "cpu/conv_common.hpp"

namespace moproc {

/// 16 pixels as a tile of A. If they are equally far apart, the tile is loaded from the slab; else, and if there are
/// fewer (the last is then repeated), from a copy.
struct PixelRows {
  const ConvPixel* at;
  int last;
  bool direct;
  int64_t distance;

  PixelRows(const ConvPixel* px, int count) : at(px), last(count < 16 ? count - 1 : 15) {
    // Distances never shrink along the list, so these two show whether all are equal.
    distance = last > 0 ? px[1].x - px[0].x : 0;
    direct = last == 15 && px[15].x - px[0].x == 15 * distance;
  }
  template <int TILE>
  MOPROC_INLINE void load(const float* x, int words, float* copy) const {
    if (direct) return tile_load<TILE>(x + at[0].x, distance);
    for (int i = 0; i < 16; ++i) store(copy + 16 * i, moproc::load(x + at[i < last ? i : last].x, words));
    tile_load<TILE>(copy, 16);
  }
};

/// How convolutions multiply with AMX: elements as in Bf16, by tiles.
struct Amx {
  using stored = bf16;
  static constexpr int per_word = 2;
  static constexpr bool tiles = true;
  using Mode = TileMode;

  /// acc (pixels in whole tiles, TILE_VECTORS * 16) = or += the taps applied to `count` pixels, at most 32. Further
  /// sums of one result continue in the order of the taps, however they are divided into calls.
  template <int TILE_VECTORS>
  static MOPROC_INLINE void tile(const float* x, const ConvPixel* at, int count, const Taps& taps, float* acc,
                                 bool add) {
    int v = 0;
    for (; v + 2 <= TILE_VECTORS; v += 2)
      if (count > 16) block<TILE_VECTORS, 2, 2>(x, at, count, taps, v, acc, add);
      else block<TILE_VECTORS, 1, 2>(x, at, count, taps, v, acc, add);
    if constexpr (TILE_VECTORS % 2 != 0) {
      if (count > 16) block<TILE_VECTORS, 2, 1>(x, at, count, taps, v, acc, add);
      else block<TILE_VECTORS, 1, 1>(x, at, count, taps, v, acc, add);
    }
  }

 private:
  /// tile() of I * 16 pixels and the J vectors from `vector` on.
  template <int TILE_VECTORS, int I, int J>
  MOPROC_NOINLINE void block(const float* x, const ConvPixel* at, int count, const Taps& taps, int vector, float* acc,
                             bool add) {
    constexpr int64_t row = TILE_VECTORS * 16;
    alignas(64) float copy[I][256];
    const PixelRows first(at, count), second(at + (I - 1) * 16, count - (I - 1) * 16);
    const int step = taps.step;
    const float* w = taps.w + vector * 16;
    acc += vector * 16;
    if (add) sums_load<I, J>(acc, 16 * row, 16, row);
    else sums_zero();
    const int64_t next_row = taps.row_stride - taps.cols * taps.col_stride;
    for (int r = taps.rows; r > 0; --r, x += next_row)
      for (int s = taps.cols; s > 0; --s, x += taps.col_stride)
        for (int64_t i = 0; i < taps.run; i += step, w += step * row) {
          tile_load<kB>(w, row);
          if constexpr (J > 1) tile_load<kB + 1>(w + 16, row);
          first.load<kA>(x + i, step, copy[0]);
          if constexpr (I > 1) second.load<kA + 1>(x + i, step, copy[1]);
          sums_mac<I, J>();
        }
    sums_store<I, J>(acc, 16 * row, 16, row);
  }
};

}  // namespace moproc
