// Packs weights (k, r, s, c) for conv_fprop and conv_dgrad: blocks of TILE_VECTORS channel vectors, each with its taps
// in the order in which the kernels read them. The last block has only as many vectors as it needs; lanes after the
// last channel are zero. Tasks: blocks of channels.
//
// Constants: C, OUT, R, S; TILE_VECTORS, as the convolution has it; W_BUFFER, PACKED_BUFFER; for pack_conv_dgrad also
// STRIDE, PAD. No scratch, no workspace.
#pragma once

#include "cpu/conv_dgrad.hpp"

namespace moproc {

/// W_BUFFER (OUT, R, S, C) -> PACKED_BUFFER (block, R, S, C, vectors * width). One task per block of output channels.
template <class K>
MOPROC_NOINLINE void pack_conv_fprop(const Params& p, const Task& t) {
  constexpr int L = Vec::width, vectors = (K::OUT + L - 1) / L, TAP_CHUNK = 16;
  constexpr int64_t taps = static_cast<int64_t>(K::R) * K::S * K::C;
  for (int64_t block = t.begin; block < t.end; ++block) {
    const int64_t v0 = block * K::TILE_VECTORS;
    const int n = static_cast<int>((vectors - v0 < K::TILE_VECTORS ? vectors - v0 : K::TILE_VECTORS) * L);
    const float* const w = in<float>(p, K::W_BUFFER) + v0 * L * taps;
    float* const to = static_cast<float*>(p.buf[K::PACKED_BUFFER]) + v0 * L * taps;
    const int64_t rest = K::OUT - v0 * L;
    const int filled = static_cast<int>(rest < n ? rest : n);
    for (int64_t i0 = 0; i0 < taps; i0 += TAP_CHUNK) {  // TAP_CHUNK taps at a time: whole cache lines are read
      const int m = static_cast<int>(taps - i0 < TAP_CHUNK ? taps - i0 : TAP_CHUNK);
      for (int k = 0; k < filled; ++k)
        for (int i = 0; i < m; ++i) to[(i0 + i) * n + k] = w[k * taps + i0 + i];
      for (int k = filled; k < n; ++k)
        for (int i = 0; i < m; ++i) to[(i0 + i) * n + k] = 0.0f;
    }
  }
}

/// W_BUFFER (OUT, R, S, C) -> PACKED_BUFFER (block of input channels, phase, taps of the phase reversed, OUT,
/// vectors * width). One task per block.
template <class K>
MOPROC_NOINLINE void pack_conv_dgrad(const Params& p, const Task& t) {
  constexpr int L = Vec::width, vectors = (K::C + L - 1) / L, STRIDE = K::STRIDE;
  constexpr int64_t taps = static_cast<int64_t>(K::R) * K::S * K::OUT;
  for (int64_t block = t.begin; block < t.end; ++block) {
    const int v0 = static_cast<int>(block) * K::TILE_VECTORS,
              n = vectors - v0 < K::TILE_VECTORS ? vectors - v0 : K::TILE_VECTORS;
    float* to = static_cast<float*>(p.buf[K::PACKED_BUFFER]) + v0 * L * taps;
    for (int phase = 0; phase < STRIDE * STRIDE; ++phase) {
      const TapRun v = tap_run(phase / STRIDE, STRIDE, K::PAD, K::R);
      const TapRun u = tap_run(phase % STRIDE, STRIDE, K::PAD, K::S);
      for (int i = 0; i < v.taps; ++i)
        for (int j = 0; j < u.taps; ++j)
          for (int k = 0; k < K::OUT; ++k, to += n * L) {
            const int64_t r = v.tap0 - i * STRIDE, s = u.tap0 - j * STRIDE;
            const float* const w = in<float>(p, K::W_BUFFER) + ((k * K::R + r) * K::S + s) * K::C + v0 * L;
            for (int o = 0; o < n; ++o) {
              const int rest = K::C - (v0 + o) * L;
              store(to + o * L, rest >= L ? load(w + o * L) : load(w + o * L, rest));
            }
          }
    }
  }
}

}  // namespace moproc
