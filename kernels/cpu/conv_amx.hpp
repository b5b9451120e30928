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
  int32_t offsets[16];  // in bytes

  PixelRows(const ConvPixel* px, int count) : at(px), last(count < 16 ? count - 1 : 15) {
    // Distances never shrink along the list, so these two show whether all are equal.
    distance = last > 0 ? px[1].x - px[0].x : 0;
    direct = last == 15 && px[15].x - px[0].x == 15 * distance;
    for (int i = 0; i < 16; ++i) offsets[i] = 4 * px[i < last ? i : last].x;
  }
  /// Copies the rows of `words` words, if they must be: earlier than they are loaded, so that no load waits for stores.
  MOPROC_INLINE void copy(const float* x, int words, float* to) const {
    if (direct) return;
    const __mmask16 lanes = lane_mask(words);
    const char* const from = reinterpret_cast<const char*>(x);
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) _mm512_store_ps(to + 16 * i, _mm512_maskz_loadu_ps(lanes, from + offsets[i]));
  }
  template <int TILE>
  MOPROC_INLINE void load(const float* x, const float* copied) const {
    if (direct) tile_load<TILE>(x + at[0].x, distance);
    else tile_load<TILE>(copied, 16);
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
    alignas(64) float copies[2][I][256];
    const PixelRows first(at, count), second(at + (I - 1) * 16, count - (I - 1) * 16);
    const int step = taps.step;
    const float* w = taps.w + vector * 16;
    acc += vector * 16;
    if (add) sums_load<I, J>(acc, 16 * row, 16, row);
    else sums_zero();
    int64_t i = 0;
    int s = 0;
    const auto next = [&](const float* now) {
      if ((i += step) < taps.run) return now + step;
      now += taps.col_stride - i + step, i = 0;
      if (++s < taps.cols) return now;
      s = 0;
      return now + (taps.row_stride - taps.cols * taps.col_stride);
    };
    const auto copy = [&](const float* from, int buffer) {
      first.copy(from, step, copies[buffer][0]);
      if constexpr (I > 1) second.copy(from, step, copies[buffer][1]);
    };
    const int64_t products = taps.rows * taps.cols * (taps.run / step);
    if (products > 0) copy(x, 0);
    for (int64_t k = 0; k < products; ++k, w += step * row) {
      tile_load<kB>(w, row);
      if constexpr (J > 1) tile_load<kB + 1>(w + 16, row);
      first.load<kA>(x, copies[k % 2][0]);
      if constexpr (I > 1) second.load<kA + 1>(x, copies[k % 2][1]);
      x = next(x);
      if (k + 1 < products) copy(x, (k + 1) % 2);
      sums_mac<I, J>();
    }
    sums_store<I, J>(acc, 16 * row, 16, row);
  }
};

}  // namespace moproc
