// Writes a batch of keys (n, d) as columns ptr, ptr + 1, ... of the queue (d, q), modulo q. If a batch is longer than
// the queue, its last q keys remain, where inserting one by one would put them. If finite is 0, nothing changes.
// Mapping: one block per row of the queue, threads along its columns (phase 0); one thread moves the pointer after all
// others have read it (phase 1). Memory bound: the keys, and the queue if it is not updated in place.
//
// Grid: DIM, then 1. Constants: DIM, QUEUE, THREADS (256), QUEUE_BUFFER, PTR_BUFFER (i64[1]), KEYS_BUFFER,
// FINITE_BUFFER (f32[]), QUEUE_NEW_BUFFER (may be queue), PTR_NEW_BUFFER (may be ptr). Params::rows = n.
#pragma once

#include "cuda/params.cuh"

namespace moproc {

template <class K>
__device__ void queue_push(const Params& p) {
  constexpr int64_t q = K::QUEUE;
  const bool finite = *in<float>(p, K::FINITE_BUFFER) != 0.0f;
  const int64_t ptr = *in<int64_t>(p, K::PTR_BUFFER), n = p.rows, start = (ptr % q + q) % q;
  if (p.phase == 1) {
    if (threadIdx.x == 0) *out<int64_t>(p, K::PTR_NEW_BUFFER) = finite ? (start + n) % q : ptr;
    return;
  }
  const int64_t row = blockIdx.x, first = n > q ? n - q : 0;  // keys first .. n stay, each in a column of its own
  const float *const keys = in<float>(p, K::KEYS_BUFFER), *const from = in<float>(p, K::QUEUE_BUFFER) + row * q;
  float* const to = out<float>(p, K::QUEUE_NEW_BUFFER) + row * q;
  if (from != to)
    for (int64_t c = threadIdx.x; c < q; c += K::THREADS)
      if (!finite || (c - start - first % q + 2 * q) % q >= n - first) to[c] = from[c];
  if (!finite) return;
  for (int64_t i = first + threadIdx.x; i < n; i += K::THREADS) to[(start + i) % q] = keys[i * K::DIM + row];
}

}  // namespace moproc
