// Packs weights (k, r, s, c) for conv_fprop and conv_dgrad: blocks of TILE_VECTORS channel vectors, each with its taps
// in the order in which the kernels read them. The last block has only as many vectors as it needs; lanes after the
// last channel are zero. Tasks: blocks of channels.
//
// Constants: C, OUT, R, S; TILE_VECTORS and Element, as the convolution has them; W_BUFFER, PACKED_BUFFER; for
// pack_conv_dgrad also STRIDE, PAD. No scratch, no workspace.
#pragma once

#include "cpu/conv_dgrad.hpp"

namespace moproc {

/// The bits of the word (first, second) of bf16.
MOPROC_INLINE float pair_of(float first, float second) {
  alignas(64) float word[Vec::width];
  store(word, pair(narrow(Vec(first)), narrow(Vec(second))));
  return word[0];
}

/// W_BUFFER (OUT, R, S, C) -> PACKED_BUFFER (block, R, S, words of C, vectors * width). One task per block of output
/// channels.
template <class K>
MOPROC_NOINLINE void pack_conv_fprop(const Params& p, const Task& t) {
  using E = typename K::Element;
  constexpr int L = Vec::width, vectors = (K::OUT + L - 1) / L, WORD_CHUNK = 16, words = words_of<E>(K::C);
  constexpr int64_t taps = static_cast<int64_t>(K::R) * K::S, size = taps * words;
  for (int64_t block = t.begin; block < t.end; ++block) {
    const int64_t v0 = block * K::TILE_VECTORS;
    const int n = static_cast<int>((vectors - v0 < K::TILE_VECTORS ? vectors - v0 : K::TILE_VECTORS) * L);
    const float* const w = in<float>(p, K::W_BUFFER) + v0 * L * taps * K::C;
    float* const to = static_cast<float*>(p.buf[K::PACKED_BUFFER]) + v0 * L * size;
    const int64_t rest = K::OUT - v0 * L;
    const int filled = static_cast<int>(rest < n ? rest : n);
    const auto word = [&](int k, int64_t i) __attribute__((always_inline)) {
      const float* const from = w + k * taps * K::C;
      if constexpr (E::per_word == 1) return from[i];
      else {
        const int64_t first = i / words * K::C + i % words * 2;
        return pair_of(from[first], i % words * 2 + 1 < K::C ? from[first + 1] : 0.0f);
      }
    };
    for (int64_t i0 = 0; i0 < size; i0 += WORD_CHUNK) {  // WORD_CHUNK words at a time: whole cache lines are read
      const int m = static_cast<int>(size - i0 < WORD_CHUNK ? size - i0 : WORD_CHUNK);
      for (int k = 0; k < filled; ++k)
        for (int i = 0; i < m; ++i) to[(i0 + i) * n + k] = word(k, i0 + i);
      for (int k = filled; k < n; ++k)
        for (int i = 0; i < m; ++i) to[(i0 + i) * n + k] = 0.0f;
    }
  }
}

/// W_BUFFER (OUT, R, S, C) -> PACKED_BUFFER (block of input channels, phase, taps of the phase reversed, words of OUT,
/// vectors * width). One task per block.
template <class K>
MOPROC_NOINLINE void pack_conv_dgrad(const Params& p, const Task& t) {
  using E = typename K::Element;
  constexpr int L = Vec::width, vectors = (K::C + L - 1) / L, STRIDE = K::STRIDE;
  constexpr int64_t size = static_cast<int64_t>(K::R) * K::S * words_of<E>(K::OUT);
  for (int64_t block = t.begin; block < t.end; ++block) {
    const int v0 = static_cast<int>(block) * K::TILE_VECTORS,
              n = vectors - v0 < K::TILE_VECTORS ? vectors - v0 : K::TILE_VECTORS;
    float* to = static_cast<float*>(p.buf[K::PACKED_BUFFER]) + v0 * L * size;
    for (int phase = 0; phase < STRIDE * STRIDE; ++phase) {
      const TapRun v = tap_run(phase / STRIDE, STRIDE, K::PAD, K::R);
      const TapRun u = tap_run(phase % STRIDE, STRIDE, K::PAD, K::S);
      for (int i = 0; i < v.taps; ++i)
        for (int j = 0; j < u.taps; ++j)
          for (int k = 0; k < K::OUT; k += E::per_word, to += n * L) {
            const int64_t r = v.tap0 - i * STRIDE, s = u.tap0 - j * STRIDE;
            const auto weights = [&](int k, int o) __attribute__((always_inline)) {  // of K::OUT: none
              const float* const w = in<float>(p, K::W_BUFFER) + ((k * K::R + r) * K::S + s) * K::C + (v0 + o) * L;
              return k < K::OUT ? load(w, lanes_of(K::C - (v0 + o) * L)) : Vec();
            };
            for (int o = 0; o < n; ++o) {
              if constexpr (E::per_word == 1) store(to + o * L, weights(k, o));
              else store(to + o * L, pair(narrow(weights(k, o)), narrow(weights(k + 1, o))));
            }
          }
    }
  }
}

}  // namespace moproc
