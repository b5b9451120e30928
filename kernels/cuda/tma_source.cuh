// Operands of convolutions that TMA loads, a stage of 64 terms at a time, instead of the Sources of conv_source.cuh.
// The host decides which operands have a tensor map (K::..._MAP, an index into Params::map, or -1): those that are used
// as they are stored and whose channels come in units of 64. The maps are described in
// compiler/lower/templates/cuda/maps.ts.
#pragma once

#include "cuda/conv_source.cuh"
#include "cuda/gemm_pipeline.cuh"

namespace moproc {

/// Indices of K's tensor maps; -1 if it has none.
template <class K>
struct Maps {
  static constexpr int x = [] {
    if constexpr (requires { K::X_MAP; }) return K::X_MAP;
    else return -1;
  }();
  static constexpr int dy = [] {
    if constexpr (requires { K::DY_MAP; }) return K::DY_MAP;
    else return -1;
  }();
  static constexpr int w = [] {
    if constexpr (requires { K::W_MAP; }) return K::W_MAP;
    else return -1;
  }();
};
template <class K>
MOPROC_BOTH constexpr bool by_tma(int map) {
  return is_hopper<K> && map >= 0;
}

/// Position (h, w) in image n of the first tap of result pixel `m` of a group. The group's first image is `image0`, an
/// image has P x Q result pixels, and the first tap of result pixel (p, q) is at (p * stride + h0, q * stride + w0).
struct WindowStart {
  int n, h, w;
  template <int P, int Q>
  MOPROC_INLINE static WindowStart of(int image0, int m, int stride, int h0, int w0) {
    const int n = m / (P * Q), rest = m - n * (P * Q), p = rest / Q;
    return {image0 + n, p * stride + h0, (rest - p * Q) * stride + w0};
  }
};

/// K-major windows of an image of IMAGE_C channels (WindowRows): LINES pixels, terms (tap row, tap, channel). Map:
/// im2col, 64 channels of LINES pixels.
template <int LINES, int IMAGE_C>
struct TmaWindowRows {
  static constexpr bool tma = true;
  const TensorMap& map;
  WindowStart start;
  int taps_w;

  MOPROC_INLINE static int bytes(int) { return LINES * 128; }
  MOPROC_INLINE void bring(int k, uint32_t to, uint32_t barrier) const {
    const int tap = k * 64 / IMAGE_C, c = k * 64 - tap * IMAGE_C, tr = tap / taps_w;
    tma_pixels(to, map, barrier, c, start.w, start.h, start.n, tap - tr * taps_w, tr);
  }
};

/// Contiguous k-major lines: pixels of a group, or weights. Map: boxes of 64 x LINES in (terms, lines, groups).
template <int LINES>
struct TmaRows {
  static constexpr bool tma = true;
  const TensorMap& map;
  int line, group;

  MOPROC_INLINE static int bytes(int) { return LINES * 128; }
  MOPROC_INLINE void bring(int k, uint32_t to, uint32_t barrier) const {
    tma_box(to, map, barrier, k * 64, line, group);
  }
};

/// Weights (OUT, R, S, C) as dgrad reads them (WeightColumns): lines (tap, output channel), WIDTH columns over c. Map:
/// boxes of 64 x 1 x 64 in (C, R * S, OUT).
template <class K, int WIDTH>
struct TmaWeightColumns {
  static constexpr bool tma = true;
  const TensorMap& map;
  TapRun rows, columns;
  int first;  // channel of column 0

  MOPROC_INLINE static int bytes(int) { return WIDTH * 128; }
  MOPROC_INLINE void bring(int k, uint32_t to, uint32_t barrier) const {
    const int tap = k * 64 / K::OUT, o = k * 64 - tap * K::OUT, tr = tap / columns.taps, ts = tap - tr * columns.taps;
    const int r = rows.tap0 - tr * K::STRIDE, s = columns.tap0 - ts * K::STRIDE;
#pragma unroll
    for (int j = 0; j < WIDTH / 64; ++j)
      tma_box(to + j * SwizzledTile<64, WIDTH>::block_bytes, map, barrier, first + 64 * j, r * K::S + s, o);
  }
};

/// Pixels of a group as lines across k (PixelLines): WIDTH columns over channels. Map: boxes of 64 x 64 in (channels,
/// pixels of a group, groups), zeros past a group's end.
template <int WIDTH>
struct TmaPixelLines {
  static constexpr bool tma = true;
  const TensorMap& map;
  int begin, first, group;  // pixel of line 0, channel of column 0

  MOPROC_INLINE static int bytes(int) { return WIDTH * 128; }
  MOPROC_INLINE void bring(int k, uint32_t to, uint32_t barrier) const {
#pragma unroll
    for (int j = 0; j < WIDTH / 64; ++j)
      tma_box(to + j * SwizzledTile<64, WIDTH>::block_bytes, map, barrier, first + 64 * j, begin + 64 * k, group);
  }
};

/// Windows of an image as wgrad reads them (WindowLines): lines are result pixels, WIDTH columns over (tap row, tap,
/// channel). Map: im2col, 64 channels of 64 pixels. Blocks of columns past the last tap are not loaded, and the results
/// that they give are not stored.
template <class S, int WIDTH>
struct TmaWindowLines {
  static constexpr bool tma = true;
  const TensorMap& map;
  int image0, begin, first;

  MOPROC_INLINE int bytes(int) const {
    const int blocks = (S::columns - first + 63) / 64;
    return (blocks < WIDTH / 64 ? blocks : WIDTH / 64) * 64 * 128;
  }
  MOPROC_INLINE void bring(int k, uint32_t to, uint32_t barrier) const {
    const auto start = WindowStart::of<S::P, S::Q>(image0, begin + 64 * k, S::STRIDE_H, -S::PAD_H, -S::PAD_W);
#pragma unroll
    for (int j = 0; j < WIDTH / 64; ++j) {
      const int column = first + 64 * j, tap = column / S::C, r = tap / S::S;
      if (column >= S::columns) break;
      tma_pixels(to + j * SwizzledTile<64, WIDTH>::block_bytes, map, barrier, column - tap * S::C, start.w, start.h,
                 start.n, tap - r * S::S, r);
    }
  }
};

}  // namespace moproc
