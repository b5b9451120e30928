// The two ways in which a block computes its part of a matrix product. On every architecture, all threads copy operands
// (cp.async), multiply (mma.sync) and store. On sm_90a, if K has HOPPER_WORKERS, warp groups of workers multiply
// (wgmma) and store, while one more warp group loads operands for the next stages of this tile and of later ones.
#pragma once

#include "cuda/primitives.cuh"

namespace moproc {

#if defined(MOPROC_SM90)
template <class K>
inline constexpr bool is_hopper = requires { K::HOPPER_WORKERS; };
#else
template <class K>
inline constexpr bool is_hopper = false;
#endif

/// workers: threads that multiply and store; loaders: threads that load; threads: threads of the block; stages: stages
/// in shared memory; terms: terms per stage.
template <class K, bool = is_hopper<K>>
struct Path {
  static constexpr int workers = K::THREADS, loaders = K::THREADS, threads = K::THREADS;
  static constexpr int stages = K::STAGES, terms = K::STAGE_TERMS;
};
template <class K>
struct Path<K, true> {
  static constexpr int workers = K::HOPPER_WORKERS, loaders = 128, threads = workers + loaders;
  static constexpr int stages = K::HOPPER_STAGES, terms = 64;
  static_assert(workers % 128 == 0, "workers are warp groups");
};

/// Number of blocks that a multiprocessor must be able to hold.
template <class K>
MOPROC_BOTH constexpr int path_blocks() {
  if constexpr (is_hopper<K>) return K::HOPPER_BLOCKS;
  else return K::BLOCKS;
}

/// A barrier of all workers.
template <class K>
MOPROC_INLINE void sync_workers() {
  if constexpr (is_hopper<K>) named_barrier(1, Path<K>::workers);
  else __syncthreads();
}

/// Whether a launch has `bytes` bytes of dynamic shared memory; true if K does not say how much it has.
template <class K>
MOPROC_BOTH constexpr bool brings_shared(int bytes) {
  if constexpr (!is_hopper<K> && requires { K::SHARED_BYTES; }) return K::SHARED_BYTES == bytes;
  else if constexpr (is_hopper<K> && requires { K::HOPPER_SHARED_BYTES; }) return K::HOPPER_SHARED_BYTES == bytes;
  else return true;
}

}  // namespace moproc
