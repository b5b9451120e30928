// y = x + 1 if finite is not 0, else x: a step counter that counts committed steps. One task.
//
// Constants: X_BUFFER (i64[]), FINITE_BUFFER (f32[]), Y_BUFFER (may be x).
#pragma once

#include "cpu/leaf.hpp"

namespace moproc {

template <class K> static void increment(const Params& p, const Task&) {
  const int64_t x = *in<int64_t>(p, K::X_BUFFER);
  *static_cast<int64_t*>(p.buf[K::Y_BUFFER]) = *in<float>(p, K::FINITE_BUFFER) != 0.0f ? x + 1 : x;
}

}  // namespace moproc
