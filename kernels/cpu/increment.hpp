// y = x + 1 if finite is not 0, otherwise y = x: counters of committed steps. One task.
//
// Constants: STRIDE (counters are elements 0, STRIDE, ... below Params::rows), X_BUFFER (i64), FINITE_BUFFER (f32[]),
// Y_BUFFER (may be x).
#pragma once

#include "cpu/leaf.hpp"

namespace moproc {

template <class K>
static void increment(const Params& p, const Task&) {
  const int64_t* const x = in<int64_t>(p, K::X_BUFFER);
  int64_t* const y = static_cast<int64_t*>(p.buf[K::Y_BUFFER]);
  const int64_t more = *in<float>(p, K::FINITE_BUFFER) != 0.0f ? 1 : 0;
  for (int64_t i = 0; i < p.rows; i += K::STRIDE) y[i] = x[i] + more;
}

}  // namespace moproc
