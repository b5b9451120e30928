// dx[n,h,w,c] = sum over k and the taps (r, s) with h = p*STRIDE+r-PAD, w = q*STRIDE+s-PAD of dy[n,p,q,k] * w[k,r,s,c].
// Each residue (h mod STRIDE, w mod STRIDE) is a stride-1 convolution of dy with every STRIDE-th tap, reversed, so no
// inserted zero is multiplied; a residue without taps stores the epilogue of 0. Tasks: phase 0 (part of the channel
// blocks, group, IMAGE_BLOCK images, ROW_BLOCK rows of dx), phase 1, if Y has sums or moments, (group, channel vector).
//
// Constants: C, H, W of dx; OUT, P, Q of dy; R, S, STRIDE, PAD; Element, F32, Bf16 (bf16.hpp) or Amx (conv_amx.hpp),
// the type in which dy and w are multiplied; W_BUFFER (pack_conv_dgrad). struct Dy: prologue over (n, p * q, k); struct
// Y: epilogue over (n, h * w, c) with sums and moments.
//
// Tile constants (compiler/lower/templates/conv.ts chooses them):
//   TILE_VECTORS, TILE_PIXELS  channel vectors and pixels of a register tile
//   TAP_ROWS                   rows of taps that are summed before the sums are stored; R: all
//   IMAGE_BLOCK, ROW_BLOCK     images and rows of dx per task; IMAGE_BLOCK > 1 only if ROW_BLOCK == H
//   CHANNEL_PARTS              parts into which the channel blocks are divided, each with tasks of its own
//   PIXEL_SPAN                 pixels that pass all channel blocks of the part before the next pixels do
// ROW_BLOCK is a multiple of STRIDE, or H.
//
// Scratch and workspace as in conv_fprop.hpp.
#pragma once

#include "common/taps.h"
#include "cpu/conv_common.hpp"

namespace moproc {

/// The first dy position relative to i over all phases with taps (low), and one past the last (high).
constexpr int dgrad_low(int stride, int pad, int taps) {
  int low = 0, any = 0;
  for (int a = 0; a < stride; ++a) {
    const TapRun d = tap_run(a, stride, pad, taps);
    if (d.taps > 0 && (!any || d.first < low)) low = d.first, any = 1;
  }
  return low;
}
constexpr int dgrad_high(int stride, int pad, int taps) {
  int high = 0, any = 0;
  for (int a = 0; a < stride; ++a) {
    const TapRun d = tap_run(a, stride, pad, taps);
    if (d.taps > 0 && (!any || d.first + d.taps > high)) high = d.first + d.taps, any = 1;
  }
  return high;
}

/// Sizes of conv_dgrad that follow from K.
template <class K>
struct DgradShape {
  using E = typename K::Element;
  static constexpr int words = words_of<E>(K::OUT);  // of a pixel
  static constexpr bool in_place = is_stored_as<typename K::Dy, typename E::stored> && K::OUT % E::per_word == 0 &&
                                   K::PAD == 0 && K::R == 1 && K::S == 1;
  static constexpr int row_low = dgrad_low(K::STRIDE, K::PAD, K::R);
  static constexpr int col_low = dgrad_low(K::STRIDE, K::PAD, K::S);
  static constexpr int row_high = dgrad_high(K::STRIDE, K::PAD, K::R);
  static constexpr int col_high = dgrad_high(K::STRIDE, K::PAD, K::S);
  static constexpr int steps(int n) { return (n + K::STRIDE - 1) / K::STRIDE; }
  static constexpr int slab_rows = steps(K::ROW_BLOCK) - 1 + row_high - row_low;
  static constexpr int slab_cols = steps(K::W) - 1 + col_high - col_low;
  static constexpr int pixel = in_place ? words : slab_spacing(words, 1);  // words between slab pixels
  static constexpr int64_t row = static_cast<int64_t>(in_place ? K::Q : slab_cols) * pixel;
  static constexpr int64_t image = row * (in_place ? K::P : slab_rows);
  static constexpr int vectors = (K::C + Vec::width - 1) / Vec::width;
  static constexpr int blocks = (vectors + K::TILE_VECTORS - 1) / K::TILE_VECTORS;
  static constexpr int last = vectors - (blocks - 1) * K::TILE_VECTORS;
  static constexpr int row_blocks = (K::H + K::ROW_BLOCK - 1) / K::ROW_BLOCK;
  static_assert(K::ROW_BLOCK == K::H || K::ROW_BLOCK % K::STRIDE == 0, "phases of a row block start at its first row");
  static_assert(K::IMAGE_BLOCK == 1 || K::ROW_BLOCK == K::H, "several images a task need whole images");
  static_assert(K::C > 0 && K::CHANNEL_PARTS <= blocks, "no part may be empty");
};

/// Lists the pixels of phase (a, b) of a task, whose first taps lie at (row_at, col_at) of the slab; returns their
/// number.
template <class K>
MOPROC_INLINE int dgrad_pixels(ConvPixel* px, const ConvBlock& t, int a, int b, int row_at, int col_at) {
  using D = DgradShape<K>;
  int n = 0;
  for (int m = 0; m < t.images; ++m)
    for (int h = a; h < t.rows; h += K::STRIDE) {
      const int x = static_cast<int>(m * D::image + (h / K::STRIDE + row_at) * D::row) + col_at * D::pixel;
      const int y = (m * K::H + t.row0 + h) * K::W;
      for (int w = b; w < K::W; w += K::STRIDE) px[n++] = {x + w / K::STRIDE * D::pixel, y + w};
    }
  return n;
}

/// Phase 0: tasks as above; phase 1 (if Y has sums or moments): (group, channel vector).
template <class K>
MOPROC_NOINLINE void dgrad_tasks(const Params& p, const Task& task) {
  using D = DgradShape<K>;
  using E = typename K::Element;
  using Y = typename K::Y;
  constexpr int L = Vec::width, STRIDE = K::STRIDE;
  const int64_t images = p.rows / p.groups, image_blocks = (images + K::IMAGE_BLOCK - 1) / K::IMAGE_BLOCK;
  const int64_t tiles = image_blocks * D::row_blocks;
  if (task.phase == 1) {
    combine_partials<Y, K::C>(p, task, tiles, [&](int64_t tile) { return conv_before<K, K::H, K::W>(tile, images); });
    return;
  }
  auto* const px = static_cast<ConvPixel*>(task.scratch);
  constexpr int most = K::IMAGE_BLOCK * K::ROW_BLOCK * K::W;
  float* const acc = reinterpret_cast<float*>(px + (most + 7) / 8 * 8);
  float* const slab = acc + (K::TAP_ROWS < K::R ? most : K::TILE_PIXELS) * K::TILE_VECTORS * L;
  for (int64_t id = task.begin; id < task.end; ++id) {
    const ConvBlock t = conv_block<K, K::H>(id, p.groups, images);
    ConvJob job{slab, At{t.image * K::H * K::W, t.image, t.group, 0}, nullptr, acc};
    if constexpr (partial_values<Y> > 0) job.partial = tile_partial<Y, K::C>(p, t.group, tiles, t.tile, 0);
    const int p0 = t.row0 / STRIDE + D::row_low;
    if constexpr (D::in_place) job.slab = in<float>(p, K::Dy::buffer) + (t.image * K::P + p0) * K::Q * D::words;
    else {
      const Window win{p0, D::col_low, D::steps(t.rows) - 1 + D::row_high - D::row_low, D::slab_cols, 1};
      for (int m = 0; m < t.images; ++m)
        stage_window<E, typename K::Dy, K::P, K::Q, K::OUT, K::OUT, D::pixel>(p, slab + m * D::image, t.image + m,
                                                                              t.group, win, 0, K::OUT, 0);
    }
    int64_t before = 0, skipped = 0;  // pixels of the phases so far; (tap, word) rows of their weights
    for (int phase = 0; phase < STRIDE * STRIDE; ++phase) {
      const TapRun v = tap_run(phase / STRIDE, STRIDE, K::PAD, K::R);
      const TapRun u = tap_run(phase % STRIDE, STRIDE, K::PAD, K::S);
      const bool none = v.taps == 0 || u.taps == 0;
      const int n = dgrad_pixels<K>(px, t, phase / STRIDE, phase % STRIDE, none ? 0 : v.first - D::row_low,
                                    none ? 0 : u.first - D::col_low);
      for (int i = 0; i < n; i += K::PIXEL_SPAN)
        for (int b = D::blocks * t.part / K::CHANNEL_PARTS; b < D::blocks * (t.part + 1) / K::CHANNEL_PARTS; ++b) {
          constexpr int64_t all_taps = static_cast<int64_t>(K::R) * K::S * D::words;
          constexpr int IMAGE = K::H * K::W;
          const bool whole = D::last == K::TILE_VECTORS || b + 1 < D::blocks;
          const float* const w = in<float>(p, K::W_BUFFER) +
                                 (b * all_taps * K::TILE_VECTORS + skipped * (whole ? K::TILE_VECTORS : D::last)) * L;
          constexpr bool one_run = D::pixel == D::words;
          const Taps taps{
              w, none ? 0 : v.taps,   one_run ? 1 : u.taps, one_run ? u.taps * D::words : D::words, D::row, D::pixel,
              0, tile_words(D::words)};
          const int c = b * K::TILE_VECTORS * L, m = n - i < K::PIXEL_SPAN ? n - i : K::PIXEL_SPAN;
          if (whole)
            conv_pixels<E, Y, K::C, IMAGE, K::TILE_VECTORS, K::TILE_PIXELS>(p, job, px + i, m, taps, K::TAP_ROWS, c,
                                                                            before + i);
          else
            conv_pixels<E, Y, K::C, IMAGE, D::last, K::TILE_PIXELS>(p, job, px + i, m, taps, K::TAP_ROWS, c,
                                                                    before + i);
        }
      before += n;
      skipped += static_cast<int64_t>(v.taps) * u.taps * D::words;
    }
  }
}

template <class K>
static void conv_dgrad(const Params& p, const Task& task) {
  [[maybe_unused]] const typename K::Element::Mode mode(tile_words(DgradShape<K>::words));
  dgrad_tasks<K>(p, task);
}

}  // namespace moproc
