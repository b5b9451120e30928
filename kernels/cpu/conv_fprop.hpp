// y[n,p,q,k] = sum over r, s, c of x[n, p*STRIDE+r-PAD, q*STRIDE+s-PAD, c] * w[k,r,s,c], direct convolution. Padding is
// zero after the prologue of x. Tasks: phase 0 (part of the channel blocks, group, IMAGE_BLOCK images, ROW_BLOCK rows
// of y), phase 1, if Y has sums or moments, (group, channel vector).
//
// Constants: C, H, W of x; OUT, P, Q of y; R, S, STRIDE, PAD; Element, F32, Bf16 (bf16.hpp) or Amx (conv_amx.hpp), the
// type in which x and w are multiplied; W_BUFFER (pack_conv_fprop). struct X: prologue over (n, h * w, c); struct Y:
// epilogue over (n, p * q, k) with sums and moments.
//
// Tile constants (compiler/lower/templates/conv.ts chooses them):
//   TILE_VECTORS, TILE_PIXELS  channel vectors and pixels of a register tile
//   TAP_ROWS                   rows of taps that are summed before the sums are stored; R: all
//   IMAGE_BLOCK, ROW_BLOCK     images and rows of y per task; IMAGE_BLOCK > 1 only if ROW_BLOCK == P
//   CHANNEL_PARTS              parts into which the channel blocks are divided, each with tasks of its own
//   PIXEL_SPAN                 pixels that pass all channel blocks of the part before the next pixels do
//
// Scratch: the list of pixels, the sums of a register tile (of all pixels if TAP_ROWS < R), the slab. Workspace:
// partials of groups * tiles (sums.hpp).
#pragma once

#include "cpu/conv_common.hpp"

namespace moproc {

/// Sizes of conv_fprop that follow from K. A 1x1 convolution stages only the pixels that it reads; an operand without
/// prologue and padding is read in place.
template <class K>
struct FpropShape {
  static constexpr bool point = K::R == 1 && K::S == 1;
  using E = typename K::Element;
  static constexpr int words = words_of<E>(K::C);  // of a pixel
  static constexpr bool in_place = is_stored_as<typename K::X, typename E::stored> && K::PAD == 0 &&
                                   K::C % E::per_word == 0 &&
                                   (K::STRIDE == 1 || !E::tiles);    // the rows of a tile are best equally far apart
  static constexpr int step = point ? K::STRIDE : 1;                 // between staged rows and columns
  static constexpr int stride = point && !in_place ? 1 : K::STRIDE;  // between outputs, in the slab
  static constexpr int slab_rows = (K::ROW_BLOCK - 1) * stride + K::R;
  static constexpr int slab_cols = (K::Q - 1) * stride + K::S;
  static constexpr int pixel = in_place ? words : slab_spacing(words, stride);  // words between slab pixels
  static constexpr int64_t row = static_cast<int64_t>(in_place ? K::W : slab_cols) * pixel;
  static constexpr int64_t image = row * (in_place ? K::H : slab_rows);
  static constexpr int vectors = (K::OUT + Vec::width - 1) / Vec::width;
  static constexpr int blocks = (vectors + K::TILE_VECTORS - 1) / K::TILE_VECTORS;
  static constexpr int last = vectors - (blocks - 1) * K::TILE_VECTORS;  // vectors of the last block
  static constexpr int row_blocks = (K::P + K::ROW_BLOCK - 1) / K::ROW_BLOCK;
  static constexpr bool one_run = pixel == words;  // the taps (s, c) of a row are contiguous
  static constexpr int run = one_run ? K::S * words : words;
  static_assert(K::IMAGE_BLOCK == 1 || K::ROW_BLOCK == K::P, "several images a task need whole images");
  static_assert(K::OUT > 0 && K::CHANNEL_PARTS <= blocks, "no part may be empty");
};

/// Lists the pixels of `images` x `rows` rows of y in memory order; returns their number.
template <class K>
MOPROC_INLINE int fprop_pixels(ConvPixel* px, int row0, int images, int rows) {
  using F = FpropShape<K>;
  int n = 0;
  for (int b = 0; b < images; ++b)
    for (int r = 0; r < rows; ++r) {
      const int x = static_cast<int>(b * F::image + r * F::stride * F::row);
      const int y = (b * K::P + row0 + r) * K::Q;
      for (int q = 0; q < K::Q; ++q) px[n++] = {x + q * F::stride * F::pixel, y + q};
    }
  return n;
}

/// Phase 0: tasks as above; phase 1 (if Y has sums or moments): (group, channel vector).
template <class K>
MOPROC_NOINLINE void fprop_tasks(const Params& p, const Task& task) {
  using F = FpropShape<K>;
  using E = typename K::Element;
  using Y = typename K::Y;
  constexpr int L = Vec::width;
  const int64_t images = p.rows / p.groups, image_blocks = (images + K::IMAGE_BLOCK - 1) / K::IMAGE_BLOCK;
  const int64_t tiles = image_blocks * F::row_blocks;
  if (task.phase == 1) {
    combine_partials<Y, K::OUT>(p, task, tiles, [&](int64_t tile) { return conv_before<K, K::P, K::Q>(tile, images); });
    return;
  }
  auto* const px = static_cast<ConvPixel*>(task.scratch);
  constexpr int most = K::IMAGE_BLOCK * K::ROW_BLOCK * K::Q;
  float* const acc = reinterpret_cast<float*>(px + (most + 7) / 8 * 8);
  float* const slab = acc + (K::TAP_ROWS < K::R ? most : K::TILE_PIXELS) * K::TILE_VECTORS * L;
  for (int64_t id = task.begin; id < task.end; ++id) {
    const ConvBlock t = conv_block<K, K::P>(id, p.groups, images);
    ConvJob job{slab, At{t.image * K::P * K::Q, t.image, t.group, 0}, nullptr, acc};
    if constexpr (partial_values<Y> > 0) job.partial = tile_partial<Y, K::OUT>(p, t.group, tiles, t.tile, 0);
    const int h0 = t.row0 * K::STRIDE - K::PAD;
    if constexpr (F::in_place) job.slab = in<float>(p, K::X::buffer) + (t.image * K::H + h0) * K::W * F::words;
    else {
      const Window win{h0, -K::PAD, (t.rows - 1) * F::stride + K::R, F::slab_cols, F::step};
      for (int b = 0; b < t.images; ++b)
        stage_window<E, typename K::X, K::H, K::W, K::C, K::C, F::pixel>(p, slab + b * F::image, t.image + b, t.group,
                                                                         win, 0, K::C, 0);
    }
    const int n = fprop_pixels<K>(px, t.row0, t.images, t.rows);
    const int first = F::blocks * t.part / K::CHANNEL_PARTS, end = F::blocks * (t.part + 1) / K::CHANNEL_PARTS;
    for (int i = 0; i < n; i += K::PIXEL_SPAN)
      for (int b = first; b < end; ++b) {
        constexpr int64_t block = static_cast<int64_t>(K::R) * K::S * F::words * K::TILE_VECTORS * L;
        const Taps taps{in<float>(p, K::W_BUFFER) + b * block,
                        K::R,
                        F::one_run ? 1 : K::S,
                        F::run,
                        F::row,
                        F::pixel,
                        F::in_place && F::point && b == first ? F::words : 0,
                        tile_words(F::run)};
        constexpr int IMAGE = K::P * K::Q;
        const int c = b * K::TILE_VECTORS * L, m = n - i < K::PIXEL_SPAN ? n - i : K::PIXEL_SPAN;
        if (F::last == K::TILE_VECTORS || b + 1 < F::blocks)
          conv_pixels<E, Y, K::OUT, IMAGE, K::TILE_VECTORS, K::TILE_PIXELS>(p, job, px + i, m, taps, K::TAP_ROWS, c, i);
        else conv_pixels<E, Y, K::OUT, IMAGE, F::last, K::TILE_PIXELS>(p, job, px + i, m, taps, K::TAP_ROWS, c, i);
      }
  }
}

template <class K>
static void conv_fprop(const Params& p, const Task& task) {
  [[maybe_unused]] const typename K::Element::Mode mode(tile_words(FpropShape<K>::run));
  fprop_tasks<K>(p, task);
}

}  // namespace moproc
