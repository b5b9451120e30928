// Packs weights for conv_fprop and conv_dgrad: f32 (OUT, R, S, WEIGHT_CHANNELS) -> (OUT, R, S, C) as K::Operand stores
// it, with zeros for channels from WEIGHT_CHANNELS on; for an image of 4 channels, in pairs of pixels (ConvShape). Both
// kernels read the same copy. If WEIGHT_CHANNELS == C, the copy is the weights themselves, rounded. Memory bound; a
// thread writes 8 elements.
//
// Constants: OUT, R, S, C, WEIGHT_CHANNELS, STRIDE, PAD, W (of the image), Operand, THREADS, W_BUFFER, PACKED_BUFFER.
// Grid: ceil(OUT * columns / 8 / THREADS).
#pragma once

#include "cuda/conv_source.cuh"

namespace moproc {

template <class K>
MOPROC_INLINE void pack_conv_fprop(const Params& p) {
  using S = ConvShape<K>;
  const int64_t unit = static_cast<int64_t>(blockIdx.x) * K::THREADS + threadIdx.x;
  if (unit * 8 >= static_cast<int64_t>(K::OUT) * S::columns) return;
  const int o = static_cast<int>(unit * 8 / S::columns), column = static_cast<int>(unit * 8 % S::columns);
  const float* const w = in<float>(p, K::W_BUFFER) + static_cast<int64_t>(o) * (K::R * K::S * K::WEIGHT_CHANNELS);
  Vec v;
  if constexpr (S::repacked) {
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const int at = S::weight_at(column + i);
      v.x[i] = at >= 0 ? w[at] : 0.0f;
    }
  } else {
    v = load(w + column);
  }
  uint4 parts[K::Operand::bytes / 2];
  pack_unit<typename K::Operand>(parts, v);
#pragma unroll
  for (int i = 0; i < K::Operand::bytes / 2; ++i)
    out<uint4>(p, K::PACKED_BUFFER)[unit * (K::Operand::bytes / 2) + i] = parts[i];
}

template <class K>
MOPROC_INLINE void pack_conv_dgrad(const Params& p) {
  pack_conv_fprop<K>(p);
}

}  // namespace moproc
