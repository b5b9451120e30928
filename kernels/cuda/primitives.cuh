// The instructions that C++ cannot express: tensor-core products, matrix loads, asynchronous copies, barriers. This and
// primitives_sm90.cuh are the only headers with inline PTX. With MOPROC_EMULATOR, the same functions are replaced by
// versions that run on the CPU.
//   A 16 x 16 bf16: a0 (g, 2t), a1 (g + 8, 2t), a2 (g, 2t + 8), a3 (g + 8, 2t + 8), each with its right neighbour
//   B 16 x 8 bf16:  b0 (k = 2t, n = g), b1 (k = 2t + 8, n = g), each with the k below it
//   A 16 x 8 tf32:  a0 (g, t), a1 (g + 8, t), a2 (g, t + 4), a3 (g + 8, t + 4);  B: b0 (t, g), b1 (t + 4, g)
//   D 16 x 8 f32:   d0 (g, 2t), d1 (g, 2t + 1), d2 (g + 8, 2t), d3 (g + 8, 2t + 1)
#pragma once

#include "cuda/params.cuh"

#ifdef MOPROC_EMULATOR
#include "emulator_primitives.h"
#else

namespace moproc {

/// Address of byte `offset` of the block's dynamic shared memory, as the functions below take it.
MOPROC_INLINE uint32_t shared_address(int offset) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(shared_memory)) + static_cast<uint32_t>(offset);
}

/// threadIdx.x, read again: addresses computed from it are not kept in registers through the code before this point.
MOPROC_INLINE int thread_anew() {
  int t;
  asm volatile("mov.u32 %0, %%tid.x;" : "=r"(t));
  return t;
}

/// blockIdx.x, read again, for the same reason.
MOPROC_INLINE int block_anew() {
  int b;
  asm volatile("mov.u32 %0, %%ctaid.x;" : "=r"(b));
  return b;
}

/// d += a b: one warp, A 16 x 16 and B 16 x 8 of bf16, f32 sums.
MOPROC_INLINE void mma_bf16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// d += a b: one warp, A 16 x 8 and B 8 x 8 of tf32 (f32 whose low 13 bits are ignored), f32 sums.
MOPROC_INLINE void mma_tf32(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// x rounded to tf32 (10 bits of mantissa, ties away from zero), as the bits of an f32.
MOPROC_INLINE uint32_t to_tf32(float x) {
  uint32_t r;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(x));
  return r;
}

/// Four 8 x 8 matrices of 16-bit elements: lane 8 i + j gives the address of row j (16 bytes, aligned) of matrix i;
/// lane 4 g + t gets elements 2t and 2t + 1 of row g of matrix i in r[i].
MOPROC_INLINE void ldmatrix_x4(uint32_t (&r)[4], uint32_t row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(row)
               : "memory");
}
/// The same, each matrix transposed: lane 4 g + t gets elements (2t, g) and (2t + 1, g).
MOPROC_INLINE void ldmatrix_x4_trans(uint32_t (&r)[4], uint32_t row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(row)
               : "memory");
}

/// Stores 16 bytes at byte `at` of dynamic shared memory, aligned to 16: the stores that products of warp groups read.
MOPROC_INLINE void store_shared16(int at, const uint4& x) { *reinterpret_cast<uint4*>(shared_memory + at) = x; }

/// Copies the first `bytes` (0..16) of 16 aligned bytes to shared memory and fills the rest with zeros; if `bytes` is
/// 0, nothing is read. Complete after cp_async_wait. Bypasses the first-level cache.
MOPROC_INLINE void cp_async16(uint32_t shared, const void* global, int bytes) {
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(shared), "l"(global), "r"(bytes)
               : "memory");
}
/// The same through the first-level cache, for data that neighbouring steps of the block read again.
MOPROC_INLINE void cp_async16_cached(uint32_t shared, const void* global, int bytes) {
  asm volatile("cp.async.ca.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(shared), "l"(global), "r"(bytes)
               : "memory");
}
/// Copies four aligned bytes, or zeros if `bytes` is 0.
MOPROC_INLINE void cp_async4(uint32_t shared, const void* global, int bytes) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared), "l"(global), "r"(bytes) : "memory");
}
/// Ends a group of this thread's copies; groups may be empty.
MOPROC_INLINE void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/// Waits until at most N of this thread's latest groups are unfinished.
template <int N>
MOPROC_INLINE void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

/// Waits for `threads` (a multiple of 32) threads of the block at barrier `id` (1..15; __syncthreads is 0).
MOPROC_INLINE void named_barrier(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

}  // namespace moproc
#endif

#include "cuda/primitives_sm90.cuh"
