// dw[k,r,s,c] = sum over n, p, q of dy[n,p,q,k] * x[n, p*STRIDE+r-PAD, q*STRIDE+s-PAD, c]. Both operands are staged
// with their prologues applied: dy as panels of TILE_VECTORS vectors of k, x as panels of 16 channels (or all, if
// fewer). Per pixel, TILE_VECTORS loads and TILE_POSITIONS broadcasts feed TILE_VECTORS * TILE_POSITIONS FMAs; the
// positions (s, c) of a row of taps are contiguous in x. Phase 0, task (group, split, block of OUT_PANELS x IN_PANELS
// panels): sums over the images of the split in order, in the workspace. Phase 1, task (k panel, c panel, r): adds
// splits in order and groups in a balanced tree, and stores (k, r, s, c). If there is one group of one split there is
// no phase 1: the sums stay in scratch and phase 0 stores them.
//
// With bf16 (Element, bf16.hpp) a word is a pair of pixels that follow each other in dy, because the sum is over
// pixels: two of a row, or, for a 1x1 convolution, of all staged rows; an odd pixel at the end is paired with 0. A word
// of x has the pixels that one tap reads for such a pair, so that each column is in two words, except for a 1x1
// convolution.
//
// Constants: C, H, W of x; OUT, P, Q of dy; R, S, STRIDE, PAD; Element, F32, Bf16 or Amx: how dy and x are
// multiplied; DW_BUFFER. struct Dy, X: prologues over (n, p * q, k) and (n, h * w, c).
//
// Tile constants (compiler/lower/templates/conv.ts chooses them):
//   TILE_VECTORS, TILE_POSITIONS  vectors of k and positions (s, c) of a register tile
//   OUT_PANELS, IN_PANELS         panels of dy and of x per task
//   IMAGE_BLOCK, ROW_BLOCK        images and rows of dy staged at a time; IMAGE_BLOCK > 1 only if ROW_BLOCK == P
//   SPLITS                        parts of a group's images with sums of their own, at most
//
// Scratch: the staged panels, and the sums if there is no phase 1. Workspace: otherwise, the sums of all groups *
// splits.
#pragma once

#include "cpu/conv_common.hpp"

namespace moproc {

/// Sizes of conv_wgrad that follow from K.
template <class K>
struct WgradShape {
  using E = typename K::Element;
  static constexpr bool point = K::R == 1 && K::S == 1, pairs = E::per_word == 2;
  static constexpr int step = point ? K::STRIDE : 1, stride = point ? 1 : K::STRIDE;
  static constexpr int slab_rows = (K::ROW_BLOCK - 1) * stride + K::R, slab_cols = (K::Q - 1) * stride + K::S;
  static constexpr int x_width = K::C < 16 && !E::tiles ? K::C : 16,
                       y_width = K::TILE_VECTORS * Vec::width;  // width of a panel
  static constexpr int c_panels = (K::C + x_width - 1) / x_width, k_panels = (K::OUT + y_width - 1) / y_width;
  static constexpr int last_vectors = (K::OUT + Vec::width - 1) / Vec::width - (k_panels - 1) * K::TILE_VECTORS;
  static constexpr int c_blocks = (c_panels + K::IN_PANELS - 1) / K::IN_PANELS,
                       k_blocks = (k_panels + K::OUT_PANELS - 1) / K::OUT_PANELS;
  /// Tap columns with sums of their own; with AMX, few channels share them (conv_wgrad_amx.hpp).
  static constexpr bool shared = E::tiles && !point && K::C < 16;
  static constexpr int columns = shared ? (K::S * K::C + 15) / 16 : K::S;
  static constexpr int run = columns * x_width;
  static constexpr int64_t tile = static_cast<int64_t>(run) * y_width;          // of (k panel, c panel, r)
  static constexpr int64_t block = tile * K::OUT_PANELS * K::IN_PANELS * K::R;  // of a task
  static constexpr int64_t partial = block * k_blocks * c_blocks;
  static constexpr int64_t x_image =
      static_cast<int64_t>(point ? words_of<E>(slab_rows * slab_cols) : slab_rows * slab_cols) * x_width;
  static constexpr int64_t x_panel = x_image * K::IMAGE_BLOCK;
  /// The words of one channel of `rows` rows of dy.
  static constexpr int y_words(int rows) { return point ? words_of<E>(rows * K::Q) : rows * words_of<E>(K::Q); }
  static constexpr int64_t y_panel = static_cast<int64_t>(K::IMAGE_BLOCK) * y_words(K::ROW_BLOCK) * y_width;
  /// Offset in floats of the sums of (k panel, c panel, r) in a block; panels are counted from the block's first.
  static constexpr int64_t inside(int k, int c, int r) { return ((k * K::IN_PANELS + c) * K::R + r) * tile; }
  static_assert(K::IMAGE_BLOCK == 1 || K::ROW_BLOCK == K::P, "several images at a time need whole images");
};

/// What a task stages: conv_wgrad_amx.hpp has other panels.
template <class K, bool tiles = K::Element::tiles>
struct WgradStaged : WgradShape<K> {
  static constexpr int words = 0;
};

/// Panels [k0, k1) x [c0, c1) of dw.
struct WgradBlock {
  int k0, k1, c0, c1;
};
template <class K>
MOPROC_INLINE WgradBlock wgrad_block(int block) {
  using G = WgradShape<K>;
  const int k0 = block / G::c_blocks * K::OUT_PANELS, c0 = block % G::c_blocks * K::IN_PANELS;
  const int k1 = k0 + K::OUT_PANELS < G::k_panels ? k0 + K::OUT_PANELS : G::k_panels;
  return {k0, k1, c0, c0 + K::IN_PANELS < G::c_panels ? c0 + K::IN_PANELS : G::c_panels};
}

/// The pixels of one register tile: `images` x `rows` x `cols` words. dy is dense; x has these strides in words.
struct WgradPixels {
  int images, rows, cols;
  int64_t x_image, x_row, x_col;
};

/// acc (TILE_POSITIONS, TILE_VECTORS * width) = or += the sum over these pixels of x[b] * dy[0 .. TILE_VECTORS *
/// width). Each chunk is summed on its own first, which keeps the rounding errors of long sums small.
template <class E, int TILE_VECTORS, int TILE_POSITIONS>
MOPROC_NOINLINE void wgrad_tile(const float* dy, const float* x, const WgradPixels& px, float* acc, bool add) {
  constexpr int L = Vec::width;
  Vec a[TILE_POSITIONS][TILE_VECTORS];
  const int64_t cols = px.cols, x_col = px.x_col;
  for (int n = 0; n < px.images; ++n) {
    const float* row = x + n * px.x_image;
    for (int r = px.rows; r > 0; --r, row += px.x_row) {
      const float* at = row;
      for (int64_t q = cols; q > 0; --q, at += x_col, dy += TILE_VECTORS * L) {
        typename E::Operand y[TILE_VECTORS];
#pragma GCC unroll 8
        for (int v = 0; v < TILE_VECTORS; ++v) y[v] = E::load(dy + v * L);
#pragma GCC unroll 16
        for (int b = 0; b < TILE_POSITIONS; ++b) {
          const typename E::Operand xv = E::broadcast(at + b);
#pragma GCC unroll 8
          for (int v = 0; v < TILE_VECTORS; ++v) a[b][v] = E::mac(xv, y[v], a[b][v]);
        }
      }
    }
  }
#pragma GCC unroll 16
  for (int b = 0; b < TILE_POSITIONS; ++b)
#pragma GCC unroll 8
    for (int v = 0; v < TILE_VECTORS; ++v) {
      float* const to = acc + (b * TILE_VECTORS + v) * L;
      store(to, add ? load(to) + a[b][v] : a[b][v]);
    }
}

/// All RUN positions of a run, in tiles of TILE_POSITIONS, or of fewer if that divides RUN more evenly.
template <class E, int TILE_VECTORS, int TILE_POSITIONS, int RUN>
MOPROC_INLINE void wgrad_run(const float* dy, const float* x, const WgradPixels& px, float* acc, bool add) {
  constexpr int tiles = (RUN + TILE_POSITIONS - 1) / TILE_POSITIONS, small = RUN / tiles,
                large = RUN % tiles;  // these of small + 1
  int b = 0;
  if constexpr (large > 0)
    for (; b < large * (small + 1); b += small + 1)
      wgrad_tile<E, TILE_VECTORS, small + 1>(dy, x + b, px, acc + b * TILE_VECTORS * Vec::width, add);
  for (; b < RUN; b += small)
    wgrad_tile<E, TILE_VECTORS, small>(dy, x + b, px, acc + b * TILE_VECTORS * Vec::width, add);
}

/// Adds one staged chunk to every (k panel, c panel, r) of the task's block.
template <class K>
MOPROC_NOINLINE void wgrad_chunk(const float* ys, const float* xs, const WgradPixels& px, const WgradBlock& block,
                                 float* sums, bool add) {
  using G = WgradShape<K>;
  for (int k = block.k0; k < block.k1; ++k)
    for (int c = block.c0; c < block.c1; ++c)
      for (int r = 0; r < K::R; ++r) {
        const float* const dy = ys + (k - block.k0) * G::y_panel;
        const float* const x = xs + (c - block.c0) * G::x_panel + r * G::slab_cols * G::x_width;
        float* const acc = sums + G::inside(k - block.k0, c - block.c0, r);
        const bool whole = G::last_vectors == K::TILE_VECTORS || k + 1 < G::k_panels;
        if (whole) wgrad_run<typename K::Element, K::TILE_VECTORS, K::TILE_POSITIONS, G::run>(dy, x, px, acc, add);
        else wgrad_run<typename K::Element, G::last_vectors, K::TILE_POSITIONS, G::run>(dy, x, px, acc, add);
      }
}

/// Calls f(c, lanes to load, lanes to store) for the vectors of channels [c0, c1) of C, in panels of WIDTH channels.
template <int C, int WIDTH, class F>
MOPROC_INLINE void each_vector(int c0, int c1, F f) {
  constexpr int L = Vec::width;
  int c = c0;
  for (; c + L <= c1; c += L) f(c, L, L);
  if constexpr (C % L != 0)
    if (c < c1) f(c, c1 - c, WIDTH % L == 0 ? L : c1 - c);
}

/// Channels [c0, c1) of C of `count` pixels as words (pixel 2 * i, pixel 2 * i + 1), in panels of WIDTH channels that
/// lie `panel` words apart: pixel by pixel, as they lie in memory. value(pixel, c, lanes): its elements.
template <int C, int WIDTH, class F>
MOPROC_INLINE void store_pairs(float* dst, int64_t panel, int64_t count, int c0, int c1, F value) {
  for (int64_t i = 0; i < count; i += 2, dst += WIDTH)
    each_vector<C, WIDTH>(c0, c1, [&](int c, int lanes, int stored) __attribute__((always_inline)) {
      const Narrow second = i + 1 < count ? value(i + 1, c, lanes) : Narrow();
      store(dst + (c - c0) / WIDTH * panel + (c - c0) % WIDTH, pair(value(i, c, lanes), second), stored);
    });
}

/// wgrad_stage_dy in pairs, for channels [c0, c1) in panels of WIDTH.
template <class K, int WIDTH>
MOPROC_NOINLINE void wgrad_stage_dy_pairs(const Params& p, float* ys, At first, int rows, int c0, int c1) {
  using G = WgradShape<K>;
  const int runs = G::point ? 1 : rows, count = G::point ? rows * K::Q : K::Q;
  for (int r = 0; r < runs; ++r, ys += words_of<Bf16>(count) * WIDTH, first.pixel += K::Q)
    store_pairs<K::OUT, WIDTH>(ys, G::y_panel, count, c0, c1,
                               [&](int64_t i, int c, int lanes) __attribute__((always_inline)) {
                                 const At at{first.pixel + i, first.row, first.group, c};
                                 return narrow_operand<typename K::Dy, K::OUT>(p, at, lanes);
                               });
}

/// Stages channels [c0, c1) of window `win` of x in pairs: the words of a row are (column j, column j + stride); of a
/// 1x1 convolution, (pixel 2 * i, pixel 2 * i + 1).
template <class K>
MOPROC_NOINLINE void wgrad_stage_x_pairs(const Params& p, float* xs, int64_t image, int64_t group, const Window& win,
                                         int c0, int c1) {
  using G = WgradShape<K>;
  constexpr int WIDTH = G::x_width;
  const auto value = [&](int64_t row, int64_t col, int c, int lanes) __attribute__((always_inline)) {
    const int64_t h = win.row0 + row * win.step, w = win.col0 + col * win.step;
    if (K::PAD > 0 && (h < 0 || h >= K::H || w < 0 || w >= K::W)) return Narrow();
    const At at{(image * K::H + h) * K::W + w, image, group, c};
    return narrow_operand<typename K::X, K::C>(p, at, lanes);
  };
  if constexpr (G::point) {
    store_pairs<K::C, WIDTH>(xs, G::x_panel, int64_t{win.rows} * win.cols, c0, c1,
                             [&](int64_t i, int c, int lanes) __attribute__((always_inline)) {
                               return value(i / G::slab_cols, i % G::slab_cols, c, lanes);
                             });
    return;
  }
  each_vector<K::C, WIDTH>(c0, c1, [&](int c, int lanes, int stored) __attribute__((always_inline)) {
    float* const to = xs + (c - c0) / WIDTH * G::x_panel + (c - c0) % WIDTH;
    for (int row = 0; row < win.rows; ++row)
      for (int start = 0; start < G::stride && start < win.cols; ++start) {
        Narrow low = value(row, start, c, lanes);
        for (int j = start; j < win.cols; j += G::stride) {
          const Narrow high = j + G::stride < win.cols ? value(row, j + G::stride, c, lanes) : Narrow();
          store(to + (int64_t{row} * G::slab_cols + j) * WIDTH, pair(low, high), stored);
          low = high;
        }
      }
  });
}

/// Stages dy of `rows` rows from p0 of one image, as panels of y_width channels; the last panel is only as wide as
/// needed.
template <class K>
MOPROC_INLINE void wgrad_stage_dy(const Params& p, float* ys, int64_t image, int64_t group, int p0, int rows, int at,
                                  int k0, int k1) {
  using G = WgradShape<K>;
  constexpr int whole = G::last_vectors == K::TILE_VECTORS ? G::k_panels : G::k_panels - 1;
  constexpr int narrow = G::last_vectors * Vec::width;
  const int end = k1 < whole ? k1 : whole;
  const At first{(image * K::P + p0) * K::Q, image, group, 0};
  const int64_t count = static_cast<int64_t>(rows) * K::Q;
  const auto channel = [](int panel) { return panel * G::y_width < K::OUT ? panel * G::y_width : K::OUT; };
  if constexpr (G::pairs) {
    wgrad_stage_dy_pairs<K, G::y_width>(p, ys + at * G::y_width, first, rows, channel(k0), channel(end));
    if (whole < G::k_panels && k1 == G::k_panels)
      wgrad_stage_dy_pairs<K, narrow>(p, ys + (whole - k0) * G::y_panel + at * narrow, first, rows, channel(whole),
                                      K::OUT);
    return;
  }
  if (k0 < end)
    stage_run<typename K::Dy, K::OUT, G::y_width, G::y_width>(p, ys + at * G::y_width, first, count, 1, channel(k0),
                                                              channel(end), G::y_panel);
  if constexpr (whole < G::k_panels)
    if (k1 == G::k_panels)
      stage_run<typename K::Dy, K::OUT, narrow, narrow>(p, ys + (whole - k0) * G::y_panel + at * narrow, first, count,
                                                        1, channel(whole), K::OUT, 0);
}

/// Adds images [n0, n1) of `group` to the sums (OUT_PANELS, IN_PANELS, R, run, y_width) of a block.
template <class K>
MOPROC_INLINE void wgrad_images(const Params& p, float* scratch, int64_t group, int64_t n0, int64_t n1,
                                const WgradBlock& block, float* sums) {
  using G = WgradShape<K>;
  const int c_first = block.c0 * G::x_width, c_end = block.c1 * G::x_width < K::C ? block.c1 * G::x_width : K::C;
  float *const ys = scratch, *const xs = ys + K::OUT_PANELS * G::y_panel;
  bool add = false;
  for (int64_t n = n0; n < n1; n += K::IMAGE_BLOCK)
    for (int p0 = 0; p0 < K::P; p0 += K::ROW_BLOCK) {
      const int ib = static_cast<int>(n1 - n < K::IMAGE_BLOCK ? n1 - n : K::IMAGE_BLOCK);
      const int rows = K::P - p0 < K::ROW_BLOCK ? K::P - p0 : K::ROW_BLOCK, h0 = p0 * K::STRIDE - K::PAD;
      const Window win{h0, -K::PAD, (rows - 1) * G::stride + K::R, G::slab_cols, G::step};
      for (int b = 0; b < ib; ++b) {
        wgrad_stage_dy<K>(p, ys, n + b, group, p0, rows, b * G::y_words(rows), block.k0, block.k1);
        float* const to = xs + b * G::x_image;
        if constexpr (G::pairs) wgrad_stage_x_pairs<K>(p, to, n + b, group, win, c_first, c_end);
        else
          stage_window<F32, typename K::X, K::H, K::W, K::C, G::x_width, G::x_width>(p, to, n + b, group, win, c_first,
                                                                                     c_end, G::x_panel);
      }
      // Whether x rows follow each other as dy's do.
      constexpr bool dense = G::pairs ? G::point : G::stride == 1 && K::S == 1;
      const WgradPixels px{ib,
                           dense ? 1 : rows,
                           dense ? G::y_words(rows) : words_of<typename G::E>(K::Q),
                           G::x_image,
                           static_cast<int64_t>(G::stride) * G::slab_cols * G::x_width,
                           G::stride * G::x_width * (G::point ? 1 : G::E::per_word)};
      wgrad_chunk<K>(ys, xs, px, block, sums, add);
      add = true;
    }
}

/// Stores the sums `a` (run, WIDE) of one (k panel, c panel, r), transposed, as dw (k, r, s, c).
template <class K, int WIDE>
MOPROC_INLINE void wgrad_store(const Params& p, const float* a, int k0, int c0, int r) {
  using G = WgradShape<K>;
  constexpr int L = Vec::width;
  const int channels = K::C - c0 < G::x_width ? K::C - c0 : G::x_width, outs = K::OUT - k0 < WIDE ? K::OUT - k0 : WIDE;
  float* const dw = static_cast<float*>(p.buf[K::DW_BUFFER]);
  for (int s = 0; s < K::S; ++s)
    for (int c = 0; c < channels; c += L)
      for (int k = 0; k < outs; k += L) {
        const int lanes = channels - c < L ? channels - c : L, rows = outs - k < L ? outs - k : L;
        Vec v[L];
#pragma GCC unroll 16
        for (int i = 0; i < L; ++i) v[i] = i < lanes ? load(a + (s * G::x_width + c + i) * WIDE + k) : Vec();
        transpose(v);
        for (int i = 0; i < rows; ++i)
          store(dw + ((static_cast<int64_t>(k0 + k + i) * K::R + r) * K::S + s) * K::C + c0 + c, v[i], lanes);
      }
}

/// wgrad_store of the tile (k panel, c panel, r) at `a`.
template <class K>
MOPROC_NOINLINE void wgrad_store_tile(const Params& p, const float* a, int k, int c, int r) {
  using G = WgradShape<K>;
  if constexpr (G::E::tiles) wgrad_store_sums<K>(p, a, k * 16, c * 16, r);
  else if (G::last_vectors == K::TILE_VECTORS || k + 1 < G::k_panels)
    wgrad_store<K, G::y_width>(p, a, k * G::y_width, c * G::x_width, r);
  else wgrad_store<K, G::last_vectors * Vec::width>(p, a, k * G::y_width, c * G::x_width, r);
}

/// Phase 1: adds the partial sums of one (k panel, c panel, r) and stores the result.
template <class K>
MOPROC_INLINE void wgrad_combine(const Params& p, int64_t splits, int64_t task) {
  using G = WgradShape<K>;
  const int r = static_cast<int>(task % K::R), c = static_cast<int>(task / K::R % G::c_panels);
  const int k = static_cast<int>(task / K::R / G::c_panels);
  const int64_t block = static_cast<int64_t>(k / K::OUT_PANELS) * G::c_blocks + c / K::IN_PANELS;
  float* const a =
      static_cast<float*>(p.workspace) + block * G::block + G::inside(k % K::OUT_PANELS, c % K::IN_PANELS, r);
  const int64_t group = splits * G::partial;
  for (int i = 0; i < G::tile; i += Vec::width) {
    for (int64_t g = 0; g < p.groups && splits > 1; ++g) {
      Vec sum = load(a + g * group + i);
      for (int64_t s = 1; s < splits; ++s) sum = sum + load(a + g * group + s * G::partial + i);
      store(a + g * group + i, sum);
    }
    for (int64_t step = 1; step < p.groups; step *= 2)
      for (int64_t g = 0; g + step < p.groups; g += 2 * step) {
        float* const to = a + g * group + i;
        store(to, load(to) + load(to + step * group));
      }
  }
  wgrad_store_tile<K>(p, a, k, c, r);
}

/// The words that a task stages.
template <class K>
constexpr int64_t wgrad_staged() {
  using Sizes = WgradStaged<K>;
  return K::OUT_PANELS * Sizes::y_panel + K::IN_PANELS * Sizes::x_panel;
}

/// Tasks as above. A group has SPLITS splits, or as many as it has images if these are fewer.
template <class K>
MOPROC_NOINLINE void wgrad_tasks(const Params& p, const Task& t) {
  using G = WgradShape<K>;
  constexpr int blocks = G::k_blocks * G::c_blocks;
  const int64_t images = p.rows / p.groups, splits = images < K::SPLITS ? images : K::SPLITS;
  const bool whole = p.groups * splits == 1;
  float *const staged = static_cast<float*>(t.scratch), *const workspace = static_cast<float*>(p.workspace);
  for (int64_t task = t.begin; task < t.end; ++task) {
    if (t.phase == 1) {
      wgrad_combine<K>(p, splits, task);
      continue;
    }
    const int id = static_cast<int>(task % blocks);
    const WgradBlock block = wgrad_block<K>(id);
    const int64_t split = task / blocks % splits, group = task / blocks / splits, n0 = group * images;
    float* const sums = whole ? staged + wgrad_staged<K>() : workspace + task / blocks * G::partial + id * G::block;
    const int64_t first = n0 + images * split / splits, end = n0 + images * (split + 1) / splits;
    if constexpr (G::E::tiles) wgrad_image_tiles<K>(p, staged, group, first, end, block, sums);
    else wgrad_images<K>(p, staged, group, first, end, block, sums);
    for (int k = block.k0; whole && k < block.k1; ++k)
      for (int c = block.c0; c < block.c1; ++c)
        for (int r = 0; r < K::R; ++r) wgrad_store_tile<K>(p, sums + G::inside(k - block.k0, c - block.c0, r), k, c, r);
  }
}

template <class K>
static void conv_wgrad(const Params& p, const Task& t) {
  [[maybe_unused]] const typename K::Element::Mode mode(WgradStaged<K>::words);
  wgrad_tasks<K>(p, t);
}

}  // namespace moproc

#if defined(__AVX512F__)
#include "cpu/conv_wgrad_amx.hpp"
#endif
