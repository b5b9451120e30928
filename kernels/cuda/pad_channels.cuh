// y[n, h, w, 0 .. PADDED) = x[n, h, w, 0 .. C), then zeros: images as convolutions read them. Mapping: one thread per
// vector of up to 8 channels of y, stored in one or two accesses. Memory bound.
//
// Grid: pool_tasks(rows * PIXELS, PADDED). Constants: PIXELS (h * w), C, PADDED (4, or a multiple of 8), STORED_BYTES
// (2: bf16, 4: f32), THREADS (256), Y_BUFFER. struct X: prologue over (n, h * w, c). Fewer than 2^31 vectors.
#pragma once

#include "cuda/max_pool.cuh"

namespace moproc {

template <class K>
__device__ void pad_channels(const Params& p) {
  static_assert(K::THREADS == pool_threads, "pad_channels: blocks of 256 threads");
  static_assert(K::PADDED == 4 || K::PADDED % 8 == 0, "pad_channels: to 4 channels, or a multiple of 8");
  constexpr unsigned vectors = (K::PADDED + 7) / 8;
  const unsigned t = blockIdx.x * pool_threads + threadIdx.x, pixel = t / vectors;
  const int64_t n = pixel / static_cast<unsigned>(K::PIXELS);
  if (n >= p.rows) return;
  const int c = static_cast<int>(t % vectors) * 8, used = K::C - c;
  Vec x;
  if (used > 0) {
    const int lanes = used < 8 ? used : 8;
    x = operand<typename K::X, K::C>(p, At{static_cast<int64_t>(pixel), n, n / (p.rows / p.groups), c}, lanes);
#pragma unroll
    for (int i = 0; i < 8; ++i) x.x[i] = i < used ? x.x[i] : 0.0f;  // a prologue of 0 may not be 0
  }
  unsigned char* const y =
      static_cast<unsigned char*>(p.buf[K::Y_BUFFER]) + (static_cast<int64_t>(pixel) * K::PADDED + c) * K::STORED_BYTES;
  if constexpr (K::STORED_BYTES == 2) {
    const uint4 v = narrow8(x);
    if constexpr (K::PADDED == 4) *whole<uint2>(y) = make_uint2(v.x, v.y);
    else *whole<uint4>(y) = v;
  } else {
    *whole<uint4>(y) = bits_of(x.x[0], x.x[1], x.x[2], x.x[3]);
    if constexpr (K::PADDED != 4) whole<uint4>(y)[1] = bits_of(x.x[4], x.x[5], x.x[6], x.x[7]);
  }
}

}  // namespace moproc
