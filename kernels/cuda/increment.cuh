// y = x + 1 if finite is not 0, otherwise y = x: counters of committed steps. Grid: one block.
//
// Constants: STRIDE (counters are elements 0, STRIDE, ... below Params::rows), THREADS, X_BUFFER (i64), FINITE_BUFFER
// (f32[]), Y_BUFFER (may be x).
#pragma once

#include "cuda/params.cuh"

namespace moproc {

template <class K>
__device__ void increment(const Params& p) {
  const int64_t more = *in<float>(p, K::FINITE_BUFFER) != 0.0f ? 1 : 0;
  for (int64_t i = threadIdx.x * K::STRIDE; i < p.rows; i += K::THREADS * K::STRIDE)
    out<int64_t>(p, K::Y_BUFFER)[i] = in<int64_t>(p, K::X_BUFFER)[i] + more;
}

}  // namespace moproc
