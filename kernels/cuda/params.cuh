// The argument of every CUDA kernel, passed by value: `extern "C" __global__ void K(const __grid_constant__ Params p)`.
// With MOPROC_EMULATOR the same text is compiled by g++ and runs on the CPU (test/emulator).
#pragma once

#if defined(MOPROC_EMULATOR)
#include "emulator_cuda.h"
#else
#include <cstdint>
#endif

#include "common/sizes.h"

/// Marks device functions of the kernels, including the scalar bodies of emitted files.
#define MOPROC_INLINE __device__ __forceinline__

namespace moproc {

/// A tensor as TMA reads it (sm_90a), encoded by the driver. CUDA 12 aligns it to 64 bytes, CUDA 13 to 128.
struct alignas(128) TensorMap {
  unsigned char opaque[128];
};

/// Arguments of one launch. Extents that may change without rebuilding a kernel are here; the rest are constants
/// of the instantiation. The grid is one-dimensional: gridDim.x tasks of this phase, K::THREADS threads each.
struct Params {
  void* buf[48];      // tensors in the order of the kernel's parameter list, 64-byte aligned
  float scalars[16];  // numbers of the fused body: the same kernel serves bodies that differ only in them
  int64_t rows;       // leading extent of the iteration domain: images of the whole batch, or matrix rows
  int64_t groups;     // rows % groups == 0; row n belongs to group n / (rows / groups)
  int64_t extent[4];  // template-specific sizes known only at launch
  void* workspace;    // Launch::workspace_bytes, shared by all blocks and phases of the launch, 64-byte aligned
  int phase;          // launches of one kernel that follow each other
  TensorMap map[2];   // how TMA reads operands, if the kernel has K::..._MAP
};
static_assert(sizeof(Params) == 768, "the host passes as much");

template <class T>
MOPROC_INLINE const T* in(const Params& p, int k) {
  return static_cast<const T*>(p.buf[k]);
}
template <class T>
MOPROC_INLINE T* out(const Params& p, int k) {
  return static_cast<T*>(p.buf[k]);
}

/// p as a pointer to a type that is accessed as a whole. It must be aligned to the size of that type, which the
/// emulator checks.
#if defined(MOPROC_EMULATOR)
template <class V, class T>
const V* whole(const T* p) {
  return ::emulator::aligned(reinterpret_cast<const V*>(p));
}
template <class V, class T>
V* whole(T* p) {
  return ::emulator::aligned(reinterpret_cast<V*>(p));
}
#else
template <class V, class T>
MOPROC_INLINE const V* whole(const T* p) {
  return reinterpret_cast<const V*>(p);
}
template <class V, class T>
MOPROC_INLINE V* whole(T* p) {
  return reinterpret_cast<V*>(p);
}
#endif

#if defined(MOPROC_EMULATOR)
/// Dynamic shared memory of the block, of the size that the launch gives.
#define shared_memory (::emulator::dynamic_shared())
template <class T, int N, int TAG>
inline constexpr char shared_array_key = 0;
/// A static shared array of the block, 16-byte aligned; TAG distinguishes arrays of the same type and size.
template <class T, int N, int TAG = 0>
T* shared_array() {
  return static_cast<T*>(::emulator::static_shared(&shared_array_key<T, N, TAG>, N * sizeof(T), 16));
}
#else
/// Dynamic shared memory of the block, of the size that the launch gives.
extern __shared__ __align__(1024) unsigned char shared_memory[];
/// A static shared array of the block, 16-byte aligned; TAG distinguishes arrays of the same type and size.
template <class T, int N, int TAG = 0>
MOPROC_INLINE T* shared_array() {
  __shared__ __align__(16) unsigned char bytes[N * sizeof(T)];
  return reinterpret_cast<T*>(bytes);
}
#endif

/// An index known at compile time: static_for<N>(f) calls f(Constant<0>()), f(Constant<1>()), ... Device code can read
/// arrays of constants in K only with such an index.
template <int I>
struct Constant {
  static constexpr int value = I;
};
template <int N, int I = 0, class F>
MOPROC_INLINE void static_for(F f) {
  if constexpr (I < N) {
    f(Constant<I>());
    static_for<N, I + 1>(f);
  }
}

}  // namespace moproc
