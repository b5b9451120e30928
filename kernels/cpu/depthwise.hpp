// Convolution of each channel with weights of its own, and its gradient by x. Vectors are channels, so every tap is one
// load and one fused multiply-add.
//   forward:    y[n,p,q,c] = sum over r, s of x[n, p*STRIDE_H + r*DILATION_H - PAD_H, ..., c] * w[c,r,s]
//   TRANSPOSED: y[n,p,q,c] = sum over r, s of x[n, (p + PAD_H - r*DILATION_H) / STRIDE_H, ..., c] * w[c,r,s], where the
//               division has no remainder
// Tasks: ROW_BLOCK rows (n, p) of one group of images.
//
// Constants: C; H, W of x; P, Q of y; R, S; STRIDE_H, STRIDE_W, DILATION_H, DILATION_W, PAD_H, PAD_W; TRANSPOSED,
// ROW_BLOCK; X_BUFFER, if TRANSPOSED DY_BUFFER, (n, h, w, c); W_BUFFER (c, r, s). struct Y: epilogue over (n, p * q,
// c), without sums. Scratch: the weights as (r, s, c), the channels padded to whole vectors.
#pragma once

#include "cpu/tile.hpp"

namespace moproc {

/// The position in x that a tap reads for position `out` of y along one axis; -1 if there is none.
template <bool TRANSPOSED>
MOPROC_INLINE int64_t tap_at(int64_t out, int64_t tap, int stride, int dilation, int pad, int64_t size) {
  int64_t at = TRANSPOSED ? out + pad - tap * dilation : out * stride + tap * dilation - pad;
  if constexpr (TRANSPOSED) {
    if (at < 0 || at % stride != 0) return -1;
    at /= stride;
  }
  return at >= 0 && at < size ? at : -1;
}

template <class K>
constexpr int depthwise_operand() {
  if constexpr (K::TRANSPOSED) return K::DY_BUFFER;
  else return K::X_BUFFER;
}

template <class K>
static void depthwise(const Params& p, const Task& t) {
  using Y = typename K::Y;
  static_assert(partial_values<Y> == 0, "depthwise: this template takes no channel sums");
  constexpr int L = Vec::width, TAPS = K::R * K::S;
  constexpr int64_t padded = (K::C + L - 1) / L * L;
  const float* const x = in<float>(p, depthwise_operand<K>());
  const float* const w = in<float>(p, K::W_BUFFER);
  float* const taps = static_cast<float*>(t.scratch);
  for (int i = 0; i < TAPS; ++i)
    for (int64_t c = 0; c < padded; ++c) taps[i * padded + c] = c < K::C ? w[c * TAPS + i] : 0.0f;
  const int64_t images = p.rows / p.groups, blocks = ceil_div(images * K::P, K::ROW_BLOCK);
  for (int64_t task = t.begin; task < t.end; ++task) {
    const int64_t g = task / blocks, first = task % blocks * K::ROW_BLOCK;
    for (int64_t r = first; r < smaller(first + K::ROW_BLOCK, images * K::P); ++r) {
      const int64_t n = g * images + r / K::P, row = r % K::P;
      int64_t lines[K::R];  // of x, for each row of taps
      for (int i = 0; i < K::R; ++i) {
        const int64_t h = tap_at<K::TRANSPOSED != 0>(row, i, K::STRIDE_H, K::DILATION_H, K::PAD_H, K::H);
        lines[i] = h < 0 ? -1 : (n * K::H + h) * K::W * K::C;
      }
      for (int64_t q = 0; q < K::Q; ++q) {
        int64_t from[TAPS];  // in x
        int which[TAPS], count = 0;
        for (int j = 0; j < K::S; ++j) {
          const int64_t v = tap_at<K::TRANSPOSED != 0>(q, j, K::STRIDE_W, K::DILATION_W, K::PAD_W, K::W);
          for (int i = 0; i < K::R; ++i)
            if (v >= 0 && lines[i] >= 0) which[count] = i * K::S + j, from[count++] = lines[i] + v * K::C;
        }
        for (int c = 0; c < K::C; c += L) {
          const int lanes = lanes_of(K::C - c);
          Vec sum, none[1];
          for (int k = 0; k < count; ++k)
            sum = fma(load(x + from[k] + c, lanes), load(taps + which[k] * padded + c), sum);
          Y::store(p, At{(n * K::P + row) * K::Q + q, n, g, c}, lanes, sum, none);
        }
      }
    }
  }
}

}  // namespace moproc
