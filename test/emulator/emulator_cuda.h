// The CUDA C++ that the kernels are written in, for g++: keywords, built-in variables and functions. With
// MOPROC_EMULATOR, kernels/cuda/params.cuh includes it first; compile with -ffp-contract=off. Left out on purpose:
// atomics on floats (results would depend on their order) and bare __shared__ (see shared_array).
#pragma once

#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <new>
#include <type_traits>

#include "emulator.h"

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) __attribute__((aligned(n)))

#define threadIdx (::emulator::place().thread)
#define blockIdx (::emulator::place().block)
#define blockDim (::emulator::place().block_dim)
#define gridDim (::emulator::place().grid_dim)

namespace emulator {
/// Returns p; fails if the GPU would refuse the access as misaligned.
template <class T>
T* aligned(T* p) {
  if (reinterpret_cast<uintptr_t>(p) % alignof(T) != 0)
    fail("an access of " + std::to_string(sizeof(T)) + " bytes at an address that is not a multiple of " +
         std::to_string(alignof(T)));
  return p;
}
}  // namespace emulator

// Vector types, with CUDA's alignment.
#define MOPROC_EMULATOR_VECTOR(T, name)                      \
  struct alignas(2 * sizeof(T)) name##2 { T x, y; };         \
  struct alignas(16) name##4 { T x, y, z, w; };              \
  inline name##2 make_##name##2(T x, T y) { return {x, y}; } \
  inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
MOPROC_EMULATOR_VECTOR(float, float)
MOPROC_EMULATOR_VECTOR(int, int)
MOPROC_EMULATOR_VECTOR(unsigned, uint)
#undef MOPROC_EMULATOR_VECTOR
struct alignas(16) longlong2 {
  long long x, y;
};
struct alignas(16) ulonglong2 {
  unsigned long long x, y;
};

// Barriers and fences.
inline void __syncthreads() { emulator::sync_threads(); }
inline int __syncthreads_count(int p) { return emulator::sync_threads(p != 0); }
inline int __syncthreads_or(int p) { return emulator::sync_threads(p != 0) != 0; }
inline int __syncthreads_and(int p) { return emulator::sync_threads(p == 0) == 0; }
inline void __syncwarp(unsigned mask = 0xffffffffu) {
  emulator::collective(
      "__syncwarp", mask, nullptr, nullptr, [](const void*, unsigned, const void* const*, void* const*) {}, nullptr);
}
inline void __threadfence() { std::atomic_thread_fence(std::memory_order_seq_cst); }
inline void __threadfence_block() { __threadfence(); }
[[noreturn]] inline void __trap() { emulator::fail("__trap"); }

// Shuffles. A lane that does not exist gives 0xff bytes.
namespace emulator {
template <class T>
struct Shuffled {
  T value;
  int from;
};
/// Every lane gets the value of lane `from`.
template <class T>
T shuffle(const char* what, unsigned mask, T value, int from) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8, "shuffles move 4 or 8 bytes");
  return warp_collective<T>(what, mask, Shuffled<T>{value, from},
                            [](unsigned lanes, const Shuffled<T>* const(&in)[32], T* const(&out)[32]) {
                              for (int l = 0; l < 32; ++l) {
                                if ((lanes >> l & 1) == 0) continue;
                                if (in[in[l]->from] != nullptr) *out[l] = in[in[l]->from]->value;
                                else std::memset(static_cast<void*>(out[l]), 0xff, sizeof(T));
                              }
                            });
}
}  // namespace emulator
template <class T>
T __shfl_sync(unsigned mask, T v, int source, int width = 32) {
  const int l = emulator::lane();
  return emulator::shuffle("__shfl_sync", mask, v, (l & ~(width - 1)) | (source & (width - 1)));
}
template <class T>
T __shfl_xor_sync(unsigned mask, T v, int x, int width = 32) {
  const int l = emulator::lane(), from = l ^ x;
  return emulator::shuffle("__shfl_xor_sync", mask, v, from <= (l | (width - 1)) ? from : l);
}
template <class T>
T __shfl_down_sync(unsigned mask, T v, unsigned by, int width = 32) {
  const int l = emulator::lane(), from = l + static_cast<int>(by);
  return emulator::shuffle("__shfl_down_sync", mask, v, from <= (l | (width - 1)) ? from : l);
}
template <class T>
T __shfl_up_sync(unsigned mask, T v, unsigned by, int width = 32) {
  const int l = emulator::lane(), from = l - static_cast<int>(by);
  return emulator::shuffle("__shfl_up_sync", mask, v, from >= (l & ~(width - 1)) ? from : l);
}

// Votes.
inline unsigned __ballot_sync(unsigned mask, int predicate) {
  return emulator::warp_collective<unsigned>("__ballot_sync", mask, predicate,
                                             [](unsigned lanes, const int* const(&in)[32], unsigned* const(&out)[32]) {
                                               unsigned votes = 0;
                                               for (int l = 0; l < 32; ++l)
                                                 if ((lanes >> l & 1) != 0 && *in[l] != 0) votes |= 1u << l;
                                               for (int l = 0; l < 32; ++l)
                                                 if ((lanes >> l & 1) != 0) *out[l] = votes;
                                             });
}
inline int __any_sync(unsigned mask, int p) { return __ballot_sync(mask, p) != 0; }
inline int __all_sync(unsigned mask, int p) { return __ballot_sync(mask, !p) == 0; }

// Atomics on integers; they return the old value.
template <class T>
  requires std::is_integral_v<T>
T atomicAdd(T* p, std::type_identity_t<T> v) {
  return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);
}
template <class T>
  requires std::is_integral_v<T>
T atomicOr(T* p, std::type_identity_t<T> v) {
  return __atomic_fetch_or(p, v, __ATOMIC_SEQ_CST);
}
template <class T>
  requires std::is_integral_v<T>
T atomicAnd(T* p, std::type_identity_t<T> v) {
  return __atomic_fetch_and(p, v, __ATOMIC_SEQ_CST);
}
template <class T>
  requires std::is_integral_v<T>
T atomicExch(T* p, std::type_identity_t<T> v) {
  return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);
}
template <class T>
  requires std::is_integral_v<T>
T atomicCAS(T* p, std::type_identity_t<T> expected, std::type_identity_t<T> v) {
  __atomic_compare_exchange_n(p, &expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  return expected;
}
template <class T>
  requires std::is_integral_v<T>
T atomicMax(T* p, std::type_identity_t<T> v) {
  T old = __atomic_load_n(p, __ATOMIC_SEQ_CST);
  while (old < v && !__atomic_compare_exchange_n(p, &old, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
  }
  return old;
}

// Memory: cache hints have no effect here.
template <class T>
T __ldg(const T* p) {
  return *emulator::aligned(p);
}
template <class T>
T __ldcs(const T* p) {
  return *emulator::aligned(p);
}
template <class T>
T __ldcg(const T* p) {
  return *emulator::aligned(p);
}
template <class T>
void __stwb(T* p, T v) {
  *emulator::aligned(p) = v;
}
template <class T>
void __stcs(T* p, T v) {
  *emulator::aligned(p) = v;
}
template <class T>
void __stcg(T* p, T v) {
  *emulator::aligned(p) = v;
}

// Arithmetic that rounds to nearest even and is never contracted.
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __frcp_rn(float a) { return 1.0f / a; }
inline float __fsqrt_rn(float a) { return __builtin_sqrtf(a); }
inline float __fmaf_rn(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline int __float2int_rn(float x) { return static_cast<int>(__builtin_rintf(x)); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
template <class T>
  requires std::is_arithmetic_v<T>
constexpr T min(T a, T b) {
  return b < a ? b : a;
}
template <class T>
  requires std::is_arithmetic_v<T>
constexpr T max(T a, T b) {
  return a < b ? b : a;
}
