// The elementary functions on a GPU: common/math.h over the eight values of one thread.
#pragma once

#include "cuda/vec.cuh"

namespace moproc::math {

/// x = m * 2^e with m in [sqrt(1/2), sqrt(2)); x is normal and positive.
struct Split {
  Vec m, e;
};
MOPROC_INLINE Split split(Vec x) {
  constexpr unsigned sqrt_half = 0x3f3504f3;  // unsigned: the difference wraps if x is not positive, and log ignores it
  Split r;
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const unsigned bits = static_cast<unsigned>(__float_as_int(x.x[i]));
    const int e = static_cast<int>(bits - sqrt_half) >> 23;
    r.m.x[i] = __int_as_float(static_cast<int>(bits - (static_cast<unsigned>(e) << 23)));
    r.e.x[i] = static_cast<float>(e);
  }
  return r;
}

}  // namespace moproc::math

#include "common/math.h"
