// Packs weights (k, r, s, c) for conv_fprop and conv_dgrad: blocks of TILE_VECTORS channel vectors, each with its taps
// in the order in which the kernels read them. The last block has only as many vectors as it needs; lanes after the
// last channel are zero. Tasks: blocks of channels.
//
// Constants: C, OUT, R, S; TILE_VECTORS and Element, as the convolution has them; W_BUFFER, PACKED_BUFFER; for
// pack_conv_dgrad also STRIDE, PAD. No workspace. Scratch: pack_conv_fprop: the words of a vector of output channels.
#pragma once

#include "cpu/conv_dgrad.hpp"

namespace moproc {

/// Writes `taps` taps of `channels` floats as words: all bf16 of a tap follow each other, and an odd one is paired with
/// 0.
template <class E>
MOPROC_INLINE void to_words(const float* from, int64_t taps, int channels, float* words) {
  if constexpr (E::per_word == 1) {
    __builtin_memcpy(words, from, static_cast<size_t>(taps * channels) * sizeof(float));
  } else {
    bf16* to = reinterpret_cast<bf16*>(words);
    if (channels % 2 == 0) channels = static_cast<int>(taps * channels), taps = 1;  // no gap between taps
    for (; taps > 0; --taps, from += channels, to += channels + channels % 2) {
      for (int c = 0; c < channels; c += Vec::width) {
        const int lanes = lanes_of(channels - c);
        store_narrow(to + c, narrow(load(from + c, lanes)), lanes);
      }
      if (channels % 2 != 0) to[channels] = 0;
    }
  }
}

/// W_BUFFER (OUT, R, S, C) -> PACKED_BUFFER (block, R, S, words of C, vectors * width). One task per block of output
/// channels.
template <class K>
MOPROC_NOINLINE void pack_conv_fprop(const Params& p, const Task& t) {
  using E = typename K::Element;
  constexpr int L = Vec::width, vectors = (K::OUT + L - 1) / L;
  constexpr int64_t taps = static_cast<int64_t>(K::R) * K::S, size = taps * words_of<E>(K::C);
  float* const rows = static_cast<float*>(t.scratch);  // (L, size): the words of L output channels
  for (int64_t block = t.begin; block < t.end; ++block) {
    const int64_t v0 = block * K::TILE_VECTORS;
    const int n = static_cast<int>(vectors - v0 < K::TILE_VECTORS ? vectors - v0 : K::TILE_VECTORS);
    for (int v = 0; v < n; ++v) {
      const int64_t first = (v0 + v) * L;
      const int filled = lanes_of(K::OUT - first);
      for (int k = 0; k < filled; ++k)
        to_words<E>(in<float>(p, K::W_BUFFER) + (first + k) * taps * K::C, taps, K::C, rows + k * size);
      float* const to = static_cast<float*>(p.buf[K::PACKED_BUFFER]) + v0 * L * size + v * L;
      for (int64_t i0 = 0; i0 < size; i0 += L) {
        const int m = lanes_of(size - i0);
        Vec x[L];
        for (int k = 0; k < L; ++k) x[k] = k < filled ? load(rows + k * size + i0, m) : Vec();
        transpose(x);
        for (int i = 0; i < m; ++i) store(to + (i0 + i) * n * L, x[i]);
      }
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
