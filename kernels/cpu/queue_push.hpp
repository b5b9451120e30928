// Writes a batch of keys (n, d) as columns ptr, ptr + 1, ... of the queue (d, q), modulo q. If a batch is longer than
// the queue, its last q keys remain, where inserting one by one would put them. If finite is 0, nothing changes. Tasks:
// rows of the queue (phase 0); one task that moves the pointer after all others have read it (phase 1).
//
// Constants: DIM, QUEUE, QUEUE_BUFFER, PTR_BUFFER (i64[1]), KEYS_BUFFER, FINITE_BUFFER (f32[]), QUEUE_NEW_BUFFER
// (may be queue), PTR_NEW_BUFFER (may be ptr). Params::rows = n. No scratch, no workspace.
#pragma once

#include "cpu/lanes.hpp"
#include "cpu/leaf.hpp"

namespace moproc {

template <class K>
static void queue_push(const Params& p, const Task& t) {
  const bool finite = *in<float>(p, K::FINITE_BUFFER) != 0.0f;
  const int64_t ptr = *in<int64_t>(p, K::PTR_BUFFER), n = p.rows, q = K::QUEUE;
  const int64_t start = (ptr % q + q) % q;
  if (t.phase == 1) {
    *static_cast<int64_t*>(p.buf[K::PTR_NEW_BUFFER]) = finite ? (start + n) % q : ptr;
    return;
  }
  const float* const keys = in<float>(p, K::KEYS_BUFFER);
  for (int64_t row = t.begin; row < t.end; ++row) {
    const float* const from = in<float>(p, K::QUEUE_BUFFER) + row * q;
    float* const to = static_cast<float*>(p.buf[K::QUEUE_NEW_BUFFER]) + row * q;
    if (from != to) __builtin_memcpy(to, from, static_cast<size_t>(q) * sizeof(float));
    if (!finite) continue;
    const int64_t first = n > q ? n - q : 0;
    int64_t column = (start + first) % q;
    for (int64_t i = first; i < n; ++i) {
      to[column] = keys[i * K::DIM + row];
      if (++column == q) column = 0;
    }
  }
}

}  // namespace moproc
