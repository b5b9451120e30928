// Integer arithmetic for sizes, the same on the host and in the kernels of both devices.
#pragma once

#include <cstdint>

/// Functions that run on the host and in kernels of either device.
#if defined(__CUDACC__)
#define MOPROC_BOTH __host__ __device__ __forceinline__
#else
#define MOPROC_BOTH inline __attribute__((always_inline))
#endif

namespace moproc {

MOPROC_BOTH constexpr int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
MOPROC_BOTH constexpr int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
/// a / b rounded up, for a >= 0 and b > 0.
MOPROC_BOTH constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace moproc
