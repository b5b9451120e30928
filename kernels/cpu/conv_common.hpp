// The code that conv_fprop and conv_dgrad share. A task copies its part of the input into a slab in its thread's
// scratch, applies the prologue and writes the padding. Register tiles of TILE_VECTORS channel vectors x TILE_PIXELS
// pixels then read the slab and packed weights: TILE_VECTORS loads and TILE_PIXELS broadcasts feed TILE_VECTORS *
// TILE_PIXELS multiply-adds. Slab and weights consist of words of 32 bits: one f32, or the bf16 of two channels, whose
// two products are added at once (K::Element, bf16.hpp). The pixels of a tile are a list, so a tile may continue on the
// next row. Slab pixels are usually as far apart as they have words, and then the taps (s, c) of a row are one
// contiguous run. If that distance puts the pixels of a tile a multiple of 4 KiB apart, all of them map to one set of
// the first-level cache. The pixels are then spaced further apart, and there is one run per tap s.
#pragma once

#include "cpu/sums.hpp"

#define MOPROC_NOINLINE static __attribute__((noinline))

namespace moproc {

/// The words of `elements` elements of type E; an odd bf16 at the end is paired with 0.
template <class E>
constexpr int words_of(int elements) {
  return (elements + E::per_word - 1) / E::per_word;
}

/// The words that AMX (amx.hpp) multiplies at a time in sums over `length` words: the largest number up to 16 that
/// divides it, so that no word is left over.
constexpr int tile_words(int64_t length) {
  int words = length < 16 ? static_cast<int>(length) : 16;
  while (length % words != 0) --words;
  return words;
}

/// One pixel of a task: the offset of its first tap in the slab (words), and the number of the result's pixel,
/// counted from the first pixel of the task's first image.
struct ConvPixel {
  int32_t x, y;
};

/// The taps of one phase and channel block: rows x cols runs of `run` words of the slab; weights (rows,
/// cols, run, n). `fetch`: the words of each pixel that the cache is asked for one tile ahead; 0 if they are there.
/// `step`: the words of a run that AMX multiplies at a time.
struct Taps {
  const float* w;
  int rows, cols;
  int64_t run, row_stride, col_stride;
  int fetch = 0, step = 0;
};

/// Words between the pixels of a slab of c words each whose tile pixels lie `stride` apart.
constexpr int slab_spacing(int c, int stride) { return c * stride % 1024 == 0 ? c + 16 : c; }

/// acc (TILE_PIXELS, TILE_VECTORS * width) = or += the taps applied to TILE_PIXELS pixels. These taps are summed on
/// their own before they are added to acc.
template <class E, int TILE_VECTORS, int TILE_PIXELS>
MOPROC_NOINLINE void conv_tile(const float* x, const ConvPixel* at, const Taps& taps, float* acc, bool add) {
  constexpr int L = Vec::width;
  Vec a[TILE_PIXELS][TILE_VECTORS];
  const float* px[TILE_PIXELS];
#pragma GCC unroll 16
  for (int p = 0; p < TILE_PIXELS; ++p) px[p] = x + at[p].x;
  const float* w = taps.w;
  const int64_t run = taps.run, next_col = taps.col_stride, next_row = taps.row_stride - taps.cols * next_col;
  for (int r = taps.rows; r > 0; --r) {
    for (int s = taps.cols; s > 0; --s) {
      for (int64_t i = 0; i < run; ++i) {
        typename E::Operand wv[TILE_VECTORS];
#pragma GCC unroll 8
        for (int o = 0; o < TILE_VECTORS; ++o) wv[o] = E::load(w + o * L);
        w += TILE_VECTORS * L;
#pragma GCC unroll 16
        for (int p = 0; p < TILE_PIXELS; ++p) {
          const typename E::Operand xv = E::broadcast(px[p] + i);
#pragma GCC unroll 8
          for (int o = 0; o < TILE_VECTORS; ++o) a[p][o] = E::mac(xv, wv[o], a[p][o]);
        }
      }
#pragma GCC unroll 16
      for (int p = 0; p < TILE_PIXELS; ++p) px[p] += next_col;
    }
#pragma GCC unroll 16
    for (int p = 0; p < TILE_PIXELS; ++p) px[p] += next_row;
  }
#pragma GCC unroll 16
  for (int p = 0; p < TILE_PIXELS; ++p)
#pragma GCC unroll 8
    for (int o = 0; o < TILE_VECTORS; ++o) {
      float* const to = acc + (p * TILE_VECTORS + o) * L;
      store(to, add ? load(to) + a[p][o] : a[p][o]);
    }
}

/// Copies channels [c0, c1) of `count` pixels `step` apart, prologue applied, into panels of PANEL channels:
/// channel c of pixel i goes to dst[(c - c0) / PANEL * panel + i * SPACING + (c - c0) % PANEL]. The last panel is
/// written in whole vectors.
template <class X, int C, int PANEL, int SPACING>
MOPROC_NOINLINE void stage_run(const Params& p, float* dst, At at, int64_t count, int64_t step, int c0, int c1,
                               int64_t panel) {
  constexpr int L = Vec::width;
  static_assert(PANEL % L == 0 || PANEL == C, "a panel is whole vectors or the whole pixel");
  if constexpr (X::buffer >= 0 && PANEL == C && SPACING == C) {
    if (step == 1 && c0 == 0 && c1 == C) {
      const float* const from = in<float>(p, X::buffer) + at.pixel * C;
      __builtin_memcpy(dst, from, static_cast<size_t>(count) * C * sizeof(float));
      return;
    }
  }
  for (int64_t i = 0; i < count; ++i, at.pixel += step, dst += SPACING) {
    const auto to = [&](int c)
                        __attribute__((always_inline)) { return dst + (c - c0) / PANEL * panel + (c - c0) % PANEL; };
    for (at.c = c0; at.c + L <= c1; at.c += L) store(to(at.c), streamed<X, C>(p, at, L));
    if constexpr (C % L != 0)
      if (at.c < c1) store(to(at.c), streamed<X, C>(p, at, c1 - at.c), PANEL % L == 0 ? L : c1 - at.c);
  }
}

/// stage_run of all C channels as pairs of bf16, SPACING words a pixel.
template <class X, int C, int SPACING>
MOPROC_NOINLINE void stage_pairs(const Params& p, float* dst, At at, int64_t count, int64_t step) {
  constexpr int L = Vec::width;
  if constexpr (is_stored_as<X, bf16> && C == 2 * SPACING) {
    if (step == 1) {
      const bf16* const from = in<bf16>(p, X::buffer) + at.pixel * C;
      __builtin_memcpy(dst, from, static_cast<size_t>(count) * C * sizeof(bf16));
      return;
    }
  }
  for (int64_t i = 0; i < count; ++i, at.pixel += step, dst += SPACING) {
    bf16* const to = reinterpret_cast<bf16*>(dst);
    for (at.c = 0; at.c + L <= C; at.c += L) store_narrow(to + at.c, narrow_operand<X, C>(p, at, L), L);
    if constexpr (C % L != 0) store_narrow(to + at.c, narrow_operand<X, C>(p, at, C % L), C % L);
    if constexpr (C % 2 != 0) to[C] = 0;
  }
}

/// A window of one image: rows row0 + i * step, columns col0 + j * step; positions outside the image are zero.
struct Window {
  int64_t row0, col0;
  int rows, cols, step;
};

/// Stages channels [c0, c1) of window `win` of image `image` of an (n, H, W, C) operand. Panels are as in stage_run,
/// each (rows, cols, SPACING). In pairs of bf16, all channels are one panel.
template <class E, class X, int H, int W, int C, int PANEL, int SPACING>
MOPROC_INLINE void stage_window(const Params& p, float* dst, int64_t image, int64_t group, const Window& win, int c0,
                                int c1, int64_t panel) {
  const int64_t panels = (c1 - c0 + PANEL - 1) / PANEL;
  const auto zero = [&](float* to, int64_t pixels) {
    for (int64_t k = 0; pixels > 0 && k < panels; ++k)
      __builtin_memset(to + k * panel, 0, static_cast<size_t>(pixels) * SPACING * sizeof(float));
  };
  // Columns [left, right) of the window lie inside the image.
  int64_t left = 0, right = win.cols;
  while (left < right && win.col0 + left * win.step < 0) ++left;
  while (right > left && win.col0 + (right - 1) * win.step >= W) --right;
  for (int i = 0; i < win.rows; ++i, dst += static_cast<int64_t>(win.cols) * SPACING) {
    const int64_t h = win.row0 + static_cast<int64_t>(i) * win.step;
    if (h < 0 || h >= H || left == right) {
      zero(dst, win.cols);
      continue;
    }
    zero(dst, left);
    const At at{(image * H + h) * W + win.col0 + left * win.step, image, group, 0};
    if constexpr (E::per_word == 2) stage_pairs<X, C, SPACING>(p, dst + left * SPACING, at, right - left, win.step);
    else stage_run<X, C, PANEL, SPACING>(p, dst + left * SPACING, at, right - left, win.step, c0, c1, panel);
    zero(dst + right * SPACING, win.cols - right);
  }
}

/// The part of the result that a task computes: `rows` rows from row0 on, of `images` images from `image` on.
struct ConvBlock {
  int part, images, row0, rows;
  int64_t group, tile, image;
};

/// The block of a task; tasks are numbered (part, group, tile). A group of `images` images is divided into tiles of
/// IMAGE_BLOCK images and ROW_BLOCK of ROWS rows.
template <class K, int ROWS>
MOPROC_INLINE ConvBlock conv_block(int64_t task, int64_t groups, int64_t images) {
  constexpr int row_blocks = (ROWS + K::ROW_BLOCK - 1) / K::ROW_BLOCK;
  const int64_t tiles = (images + K::IMAGE_BLOCK - 1) / K::IMAGE_BLOCK * row_blocks;
  const int64_t tile = task % tiles, group = task / tiles % groups, n0 = tile / row_blocks * K::IMAGE_BLOCK;
  const int part = static_cast<int>(task / tiles / groups);
  const int row0 = static_cast<int>(tile % row_blocks) * K::ROW_BLOCK;
  const int left = static_cast<int>(images - n0 < K::IMAGE_BLOCK ? images - n0 : K::IMAGE_BLOCK);
  return {part, left, row0, ROWS - row0 < K::ROW_BLOCK ? ROWS - row0 : K::ROW_BLOCK, group, tile, group * images + n0};
}

/// Number of results per channel in the tiles before `tile` of a group; the last block of images may be short.
template <class K, int ROWS, int COLS>
MOPROC_INLINE int64_t conv_before(int64_t tile, int64_t images) {
  constexpr int row_blocks = (ROWS + K::ROW_BLOCK - 1) / K::ROW_BLOCK;
  const int64_t n = tile / row_blocks * K::IMAGE_BLOCK, row = tile % row_blocks * K::ROW_BLOCK;
  return (n < images ? n * ROWS + row : images * ROWS) * COLS;
}

/// The inputs and outputs of a task.
struct ConvJob {
  const float* slab;
  At first;        // the first pixel of the task's first image
  float* partial;  // sums of the task's tile, channel 0
  float* acc;      // scratch: sums of one register tile or (if the taps are cut into chunks) of all pixels
};

/// Epilogue of `count` pixels and TILE_VECTORS channel vectors from channel c on.
template <class Y, int C, int IMAGE, int TILE_VECTORS>
MOPROC_NOINLINE void conv_store(const Params& p, const ConvJob& job, const ConvPixel* px, int count, int c,
                                const float* acc, int64_t before) {
  constexpr int L = Vec::width;
  for (int o = 0; o < TILE_VECTORS; ++o, c += L) {
    const auto at = [&](int i) __attribute__((always_inline)) {
      return At{job.first.pixel + px[i].y, job.first.row + px[i].y / IMAGE, job.first.group, c};
    };
    const auto value = [&](int i) __attribute__((always_inline)) { return load(acc + (i * TILE_VECTORS + o) * L); };
    if (c + L <= C) store_run<Y, C>(p, job.partial + c, before, count, L, at, value);
    if constexpr (C % L != 0)
      if (c < C && c + L > C) store_run<Y, C>(p, job.partial + c, before, count, C - c, at, value);
  }
}

/// Lets the cache fetch what the epilogue of these pixels reads and writes: while a tile is computed, the operands of
/// the next arrive.
template <class Y, int TILE_VECTORS>
MOPROC_INLINE void conv_prefetch(const Params& p, const ConvJob& job, const ConvPixel* px, int count, int c) {
  constexpr int channels = TILE_VECTORS * Vec::width;
  if constexpr (requires(At at) { Y::prefetch(p, at, channels); })
    for (int i = 0; i < count; ++i) Y::prefetch(p, At{job.first.pixel + px[i].y, 0, 0, c}, channels);
}

/// Computes and stores all `n` pixels of a phase for the TILE_VECTORS channel vectors from channel c on, `chunk` rows
/// of taps at a time.
template <class E, class Y, int C, int IMAGE, int TILE_VECTORS, int TILE_PIXELS>
MOPROC_NOINLINE void conv_pixels(const Params& p, const ConvJob& job, const ConvPixel* px, int n, const Taps& taps,
                                 int chunk, int c, int64_t before) {
  constexpr int L = Vec::width;
  int row = 0;
  do {
    const int rows = taps.rows - row < chunk ? taps.rows - row : chunk;
    const bool last = row + rows == taps.rows, whole = rows == taps.rows;
    Taps part = taps;
    part.w += row * taps.cols * taps.run * TILE_VECTORS * L;
    part.rows = rows;
    const float* x = job.slab + row * taps.row_stride;
    const auto fetch = [&](int i) {  // what the tile from pixel i on, if there is one, reads and writes
      const int count = n - i < TILE_PIXELS ? n - i : TILE_PIXELS;
      if (last) conv_prefetch<Y, TILE_VECTORS>(p, job, px + i, count, c);
      for (int k = 0; k < count; ++k)
        for (int w = 0; w < taps.fetch; w += 16) __builtin_prefetch(x + px[i + k].x + w);
    };
    fetch(0);
    for (int i = 0; i < n;) {
      float* const acc = job.acc + (whole ? 0 : static_cast<int64_t>(i) * TILE_VECTORS * L);
      const int left = n - i;
      const int m = E::tiles && left < TILE_PIXELS ? left
                    : left >= TILE_PIXELS          ? TILE_PIXELS
                    : left >= 3 && TILE_PIXELS > 3 ? 3
                                                   : 1;
      fetch(i + m);
      if constexpr (E::tiles) E::template tile<TILE_VECTORS>(x, px + i, m, part, acc, row > 0);
      else if (m == TILE_PIXELS) conv_tile<E, TILE_VECTORS, TILE_PIXELS>(x, px + i, part, acc, row > 0);
      else if (m == 3) conv_tile<E, TILE_VECTORS, 3>(x, px + i, part, acc, row > 0);
      else conv_tile<E, TILE_VECTORS, 1>(x, px + i, part, acc, row > 0);
      if (last) conv_store<Y, C, IMAGE, TILE_VECTORS>(p, job, px + i, m, c, acc, before + i);
      i += m;
    }
    row += rows;
  } while (row < taps.rows);
}

}  // namespace moproc

#if defined(__AVX512F__)
#include "cpu/conv_amx.hpp"
#endif
