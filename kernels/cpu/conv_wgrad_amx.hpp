// conv_wgrad on AMX. The sum is over pairs of pixels: tiles of A are 16 channels of dy, transposed when they are
// staged, tiles of B 16 channels of x at one tap column s. x is staged once for each s, without gaps between its rows,
// so that the pairs of all staged rows of dy follow each other in both operands. The tiling in panels, splits and
// phases is that of conv_wgrad.hpp, with TILE_VECTORS = 1 and panels of 16 channels of x, however few there are.
#pragma once

#include "cpu/conv_wgrad.hpp"

namespace moproc {

/// What is staged of one image: ROW_BLOCK rows of dy.
template <class K>
struct WgradStaged<K, true> {
  using G = WgradShape<K>;
  static_assert(K::TILE_VECTORS == 1 && G::x_width == 16, "panels are as wide as tiles");
  static_assert(K::P % K::ROW_BLOCK == 0, "all row blocks are alike, so that tiles need no rest");
  /// Pairs in a row of dy, and in all staged rows; of a 1x1 convolution, the rows are one run, filled up with zeros.
  static constexpr int row_pairs = G::point ? 0 : (K::Q + 1) / 2;
  static constexpr int pairs = G::point ? (K::ROW_BLOCK * K::Q + 1) / 2 : K::ROW_BLOCK * row_pairs;
  static constexpr int steps = G::point ? (pairs + 15) / 16 : pairs / tile_words(pairs);
  static constexpr int words = (pairs + steps - 1) / steps;  // of a tile
  static constexpr int length = steps * words;
  static_assert(!G::shared || G::c_panels == 1);
  /// Rows of x with the same remainder by the stride follow each other, as the rows of dy do that read them.
  static constexpr int rows = G::point ? 1 : (G::slab_rows + G::stride - 1) / G::stride;
  static constexpr int64_t x_tap = 16 * static_cast<int64_t>(G::point ? length : rows * G::stride * row_pairs);
  static constexpr int64_t x_image = x_tap * G::columns, x_panel = x_image * K::IMAGE_BLOCK;
  static constexpr int64_t y_image = 256 * static_cast<int64_t>(steps), y_panel = y_image * K::IMAGE_BLOCK;
  /// The first pair that tap r reads.
  static constexpr int64_t tap_row(int r) {
    return G::point ? 0 : 16 * static_cast<int64_t>(r % G::stride * rows + r / G::stride) * row_pairs;
  }
};

/// The pairs of dy that are staged: pixels 2 * i and 2 * i + 1 of a row or, for a 1x1 convolution, of all rows.
/// value(pixel, c, lanes) from `first` on.
template <class K>
MOPROC_INLINE Vec wgrad_dy_pair(const Params& p, const At& first, int i, int c, int lanes) {
  using T = WgradStaged<K>;
  using G = WgradShape<K>;
  constexpr int per_row = G::point ? T::pairs : T::row_pairs, pixels = G::point ? K::ROW_BLOCK * K::Q : K::Q;
  const int row = i / per_row, at = i % per_row * 2;
  const auto value = [&](int k) __attribute__((always_inline)) {
    const At pixel{first.pixel + row * pixels + k, first.row, first.group, c};
    return k < pixels ? narrow_operand<typename K::Dy, K::OUT>(p, pixel, lanes) : Narrow();
  };
  return i < T::pairs ? pair(value(at), value(at + 1)) : Vec();
}

/// Stages panels [k0, k1) of dy of one image, from pixel `first` on, as tiles (panel, step, channel, 16 pairs).
template <class K>
MOPROC_NOINLINE void wgrad_stage_dy_tiles(const Params& p, float* ys, At first, int k0, int k1) {
  using T = WgradStaged<K>;
  for (int step = 0; step < T::steps; ++step)
    for (int k = k0; k < k1; ++k) {
      const int lanes = lanes_of(K::OUT - k * 16);
      Vec v[16];
#pragma GCC unroll 16
      for (int j = 0; j < 16; ++j)
        v[j] = j < T::words ? wgrad_dy_pair<K>(p, first, step * T::words + j, k * 16, lanes) : Vec();
      transpose(v);
      float* const to = ys + (k - k0) * T::y_panel + step * 256;
#pragma GCC unroll 16
      for (int j = 0; j < 16; ++j) store(to + j * 16, v[j]);
    }
}

/// Stages row `row` of x at `h`, which has fewer than 16 channels, as (16 positions (s, c), row, pair, position): `to`
/// is the row's place.
template <class K, class F>
MOPROC_INLINE void wgrad_stage_few(float* to, int h, F value) {
  using T = WgradStaged<K>;
  using G = WgradShape<K>;
  bf16 line[(G::slab_cols + 1 + K::STRIDE) * K::C + 32] = {};  // of the image, from column -PAD on
  for (int w = 0; w < G::slab_cols; ++w) store_narrow(line + w * K::C, value(h, w - K::PAD, 0, K::C), K::C);
  for (int i = 0; i < T::row_pairs; ++i)
    for (int t = 0; t < G::columns; ++t) {
      const bf16* const from = line + 2 * i * K::STRIDE * K::C + 16 * t;
      const int lanes = lanes_of(K::S * K::C - 16 * t);
      const Narrow second = 2 * i + 1 < K::Q ? load_narrow(from + K::STRIDE * K::C, lanes) : Narrow();
      store(to + t * T::x_tap + 16 * i, pair(load_narrow(from, lanes), second));
    }
}

/// Stages panels [c0, c1) of the x of one image that dy's rows from p0 on read, as (panel, s, row, pair, channel).
template <class K>
MOPROC_NOINLINE void wgrad_stage_x_tiles(const Params& p, float* xs, int64_t image, int64_t group, int p0, int c0,
                                         int c1) {
  using T = WgradStaged<K>;
  using G = WgradShape<K>;
  const auto value = [&](int h, int w, int c, int lanes) __attribute__((always_inline)) {
    if (K::PAD > 0 && (h < 0 || h >= K::H || w < 0 || w >= K::W)) return Narrow();
    return narrow_operand<typename K::X, K::C>(p, At{(image * K::H + h) * K::W + w, image, group, c}, lanes);
  };
  if constexpr (G::point) {
    const auto pixel = [&](int i, int c, int lanes) __attribute__((always_inline)) {
      return i < K::ROW_BLOCK * K::Q
                 ? value((p0 + i / K::Q) * K::STRIDE - K::PAD, i % K::Q * K::STRIDE - K::PAD, c, lanes)
                 : Narrow();
    };
    for (int i = 0; i < T::length; ++i)
      for (int c = c0; c < c1; ++c) {
        const int lanes = lanes_of(K::C - c * 16);
        store(xs + (c - c0) * T::x_panel + i * 16, pair(pixel(2 * i, c * 16, lanes), pixel(2 * i + 1, c * 16, lanes)));
      }
    return;
  }
  for (int row = 0; row < G::slab_rows; ++row) {
    const int h = p0 * K::STRIDE - K::PAD + row;
    float* const to = xs + 16 * static_cast<int64_t>(row % G::stride * T::rows + row / G::stride) * T::row_pairs;
    if constexpr (G::shared) {
      wgrad_stage_few<K>(to, h, value);
      continue;
    }
    for (int c = c0; c < c1; ++c) {
      const int lanes = lanes_of(K::C - c * 16);
      for (int s = 0; s < K::S; ++s) {
        float* const tap = to + (c - c0) * T::x_panel + s * T::x_tap;
        for (int i = 0; i < T::row_pairs; ++i) {
          const int w = 2 * i * K::STRIDE - K::PAD + s;
          const Narrow second = 2 * i + 1 < K::Q ? value(h, w + K::STRIDE, c * 16, lanes) : Narrow();
          store(tap + 16 * i, pair(value(h, w, c * 16, lanes), second));
        }
      }
    }
  }
}

/// Adds the staged images to the sums of I panels of dy and J tap columns from (k, j) on of a block; columns are
/// counted panel by panel, and `sums` is the block's. Tap rows are done one after the other.
template <class K, int I, int J>
MOPROC_NOINLINE void wgrad_tiles(const float* ys, const float* xs, int images, int k, int j, float* sums, bool add) {
  using T = WgradStaged<K>;
  using G = WgradShape<K>;
  const int next = j + J - 1;
  const auto column = [&](int i) { return xs + i / G::columns * T::x_panel + i % G::columns * T::x_tap; };
  const float *const y = ys + k * T::y_panel, *const x0 = column(j), *const x1 = column(next);
  for (int r = 0; r < K::R; ++r) {
    const auto sums_of = [&](int i) { return sums + G::inside(k, i / G::columns, r) + i % G::columns * 256; };
    float* const at = sums_of(j);
    const int64_t next_i = G::inside(1, 0, 0), next_j = sums_of(next) - at;
    if (add) sums_load<I, J>(at, next_i, next_j, 16);
    else sums_zero();
    for (int n = 0; n < images; ++n)
      for (int step = 0; step < T::steps; ++step) {
        const int64_t row = n * T::x_image + T::tap_row(r) + step * T::words * 16;
        const float* const a = y + n * T::y_image + step * 256;
        tile_load<kB>(x0 + row, 16);
        if constexpr (J > 1) tile_load<kB + 1>(x1 + row, 16);
        tile_load<kA>(a, 16);
        if constexpr (I > 1) tile_load<kA + 1>(a + T::y_panel, 16);
        sums_mac<I, J>();
      }
    sums_store<I, J>(at, next_i, next_j, 16);
  }
}

/// wgrad_images by tiles.
template <class K>
MOPROC_INLINE void wgrad_image_tiles(const Params& p, float* scratch, int64_t group, int64_t n0, int64_t n1,
                                     const WgradBlock& block, float* sums) {
  using T = WgradStaged<K>;
  float *const ys = scratch, *const xs = ys + K::OUT_PANELS * T::y_panel;
  const int k_count = block.k1 - block.k0, j_count = (block.c1 - block.c0) * WgradShape<K>::columns;
  bool add = false;
  for (int64_t n = n0; n < n1; n += K::IMAGE_BLOCK)
    for (int p0 = 0; p0 < K::P; p0 += K::ROW_BLOCK) {
      const int images = static_cast<int>(n1 - n < K::IMAGE_BLOCK ? n1 - n : K::IMAGE_BLOCK);
      for (int b = 0; b < images; ++b) {
        const At first{((n + b) * K::P + p0) * K::Q, n + b, group, 0};
        wgrad_stage_dy_tiles<K>(p, ys + b * T::y_image, first, block.k0, block.k1);
        wgrad_stage_x_tiles<K>(p, xs + b * T::x_image, n + b, group, p0, block.c0, block.c1);
      }
      for (int j = 0; j < j_count; j += 2)
        for (int k = 0; k < k_count; k += 2) {
          const bool two_k = k + 1 < k_count, two_j = j + 1 < j_count;
          if (two_k && two_j) wgrad_tiles<K, 2, 2>(ys, xs, images, k, j, sums, add);
          else if (two_k) wgrad_tiles<K, 2, 1>(ys, xs, images, k, j, sums, add);
          else if (two_j) wgrad_tiles<K, 1, 2>(ys, xs, images, k, j, sums, add);
          else wgrad_tiles<K, 1, 1>(ys, xs, images, k, j, sums, add);
        }
      add = true;
    }
}

/// Stores the sums `a` (column, k, 16) of one (k panel, c panel, r) as dw (k, r, s, c).
template <class K>
MOPROC_INLINE void wgrad_store_sums(const Params& p, const float* a, int k0, int c0, int r) {
  using G = WgradShape<K>;
  const int rows = K::OUT - k0 < 16 ? K::OUT - k0 : 16;
  float* const dw = static_cast<float*>(p.buf[K::DW_BUFFER]);
  for (int t = 0; t < G::columns; ++t) {
    const int at = G::shared ? 16 * t : t * K::C + c0, lanes = lanes_of(G::shared ? K::S * K::C - at : K::C - c0);
    for (int k = 0; k < rows; ++k)
      store(dw + (static_cast<int64_t>(k0 + k) * K::R + r) * K::S * K::C + at, load(a + (t * 16 + k) * 16), lanes);
  }
}

}  // namespace moproc
