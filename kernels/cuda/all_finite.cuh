// y = 1 if every element of every x is finite, otherwise 0. Mapping: one block per chunk of one buffer, with four
// 16-byte loads in flight per thread (phase 0); one block combines the chunks (phase 1). Memory bound.
//
// Grid: one block per chunk of finite_chunk elements, buffer after buffer; phase 1 has one block. Constants:
// SIZES[XS_COUNT] (elements), XS_BUFFERS[XS_COUNT], THREADS (256), Y_BUFFER (f32[]). Workspace: one float per chunk.
#pragma once

#include "cuda/leaf.cuh"

namespace moproc {

constexpr int64_t finite_chunk = 16384;

MOPROC_INLINE bool all_lanes_finite(Vec x) {
  bool ok = true;
#pragma unroll
  for (int i = 0; i < 8; ++i) ok = ok && __fsub_rn(x.x[i], x.x[i]) == 0.0f;
  return ok;
}

/// Whether the elements of a chunk that this thread reads are finite.
template <int THREADS>
MOPROC_INLINE bool finite_part(const float* x, int64_t n) {
  bool ok = true;
  int64_t e = threadIdx.x * 8;
#pragma unroll 2
  for (; e + 8 <= n; e += THREADS * 8) ok = all_lanes_finite(load(x + e)) && ok;
  if (e < n) ok = all_lanes_finite(load(x + e, static_cast<int>(n - e))) && ok;
  return ok;
}

template <class K>
__device__ void all_finite(const Params& p) {
  float* const chunks = static_cast<float*>(p.workspace);
  int64_t first = 0;  // chunk at which a buffer begins
  static_for<K::XS_COUNT>([&](auto index) {
    constexpr int64_t size = K::SIZES[decltype(index)::value], count = ceil_div(size, finite_chunk);
    constexpr int buffer = K::XS_BUFFERS[decltype(index)::value];
    const int64_t chunk = static_cast<int64_t>(blockIdx.x) - first;
    first += count;
    if (p.phase != 0 || chunk < 0 || chunk >= count) return;
    const int64_t at = chunk * finite_chunk;
    const bool ok = finite_part<K::THREADS>(in<float>(p, buffer) + at, smaller(finite_chunk, size - at));
    const bool all = __syncthreads_and(ok);
    if (threadIdx.x == 0) chunks[blockIdx.x] = all ? 1.0f : 0.0f;
  });
  if (p.phase == 0) return;
  bool ok = true;
#pragma unroll 4
  for (int64_t i = threadIdx.x; i < first; i += K::THREADS) ok = chunks[i] == 1.0f && ok;
  const bool all = __syncthreads_and(ok);
  if (threadIdx.x == 0) *out<float>(p, K::Y_BUFFER) = all ? 1.0f : 0.0f;
}

}  // namespace moproc
