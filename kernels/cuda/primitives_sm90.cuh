// Instructions of sm_90a: barriers in shared memory, the tensor memory accelerator (TMA), products of a warp group.
// They may be called only if MOPROC_SM90 is defined. PTX ISA 8.0, sections "mbarrier", "cp.async.bulk.tensor" and
// "wgmma.mma_async". A warp group is 128 threads that begin at a multiple of 128. Operands of its products lie in
// shared memory with the 128-byte swizzle: lines of 128 bytes from a multiple of 1024, whose 16-byte chunks are
// permuted by XOR with the line's number modulo 8. A line is 64 neighbours along k (k-major) or across it.
#pragma once

#include "cuda/params.cuh"

#if defined(__CUDA_ARCH_FEAT_SM90_ALL) || defined(MOPROC_EMULATED_SM90)
#define MOPROC_SM90
#endif

namespace moproc {

/// Descriptor of an operand at `address` of shared memory (PTX: matrix descriptor). Groups of eight lines are `eights`
/// bytes apart; if an operand across k is wider than 64, its blocks of 64 columns are `blocks` bytes apart.
MOPROC_BOTH constexpr uint64_t wgmma_operand(uint32_t address, int eights, int blocks) {
  return static_cast<uint64_t>(address >> 4 & 0x3fff) | static_cast<uint64_t>(blocks >> 4 & 0x3fff) << 16 |
         static_cast<uint64_t>(eights >> 4 & 0x3fff) << 32 | 1ull << 62;
}

}  // namespace moproc

#if defined(MOPROC_EMULATOR)
#include "emulator_primitives_sm90.h"
#else

namespace moproc {

/// Initialises a barrier of 8 bytes, aligned to 8, at byte `at` of shared memory. A phase ends when `arrivals` threads
/// and all bytes that they announced have arrived. The parity of phases alternates; the first is 0.
MOPROC_INLINE void mbarrier_init(uint32_t at, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(at), "r"(arrivals) : "memory");
}
/// Makes initialised barriers visible to TMA.
MOPROC_INLINE void mbarrier_init_fence() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
MOPROC_INLINE void mbarrier_arrive(uint32_t at) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(at) : "memory");
}
/// Arrives and announces `bytes` bytes that TMA will write in this phase.
MOPROC_INLINE void mbarrier_arrive_expect(uint32_t at, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(at), "r"(bytes) : "memory");
}
/// This thread arrives when all its cp_async so far are complete. Counts as one of `arrivals`.
MOPROC_INLINE void mbarrier_arrive_copies(uint32_t at) {
  asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(at) : "memory");
}
/// Waits for the end of the phase of this parity; returns at once if the barrier is in the phase after it.
MOPROC_INLINE void mbarrier_wait(uint32_t at, int parity) {
  asm volatile(
      "{\n.reg .pred done;\nWAIT: mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n@done bra DONE;\nbra "
      "WAIT;\n"
      "DONE:\n}" ::"r"(at),
      "r"(parity)
      : "memory");
}

/// Makes shared memory that threads wrote, as far as this thread sees it, visible to TMA and products after this call.
MOPROC_INLINE void fence_async_reads() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

/// Loads the box of `map` from (c0, c1, c2), innermost first, to byte `to` of shared memory, with zeros outside the
/// tensor, and reports its bytes to the barrier. One thread calls it.
MOPROC_INLINE void tma_box(uint32_t to, const TensorMap& map, uint32_t barrier, int c0, int c1, int c2) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], "
      "[%2];" ::"r"(to),
      "l"(&map), "r"(barrier), "r"(c0), "r"(c1), "r"(c2)
      : "memory");
}
/// Loads a column of pixels of `map` (im2col): as many pixels as the map says, from base (w, h, n) on, each shifted by
/// (dw, dh), with the map's number of channels from c on. These are the pixels of one tap of a convolution. Zeros
/// outside the image.
MOPROC_INLINE void tma_pixels(uint32_t to, const TensorMap& map, uint32_t barrier, int c, int w, int h, int n, int dw,
                              int dh) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5, "
      "%6}], [%2], "
      "{%7, %8};" ::"r"(to),
      "l"(&map), "r"(barrier), "r"(c), "r"(w), "r"(h), "r"(n), "h"(static_cast<uint16_t>(dw)),
      "h"(static_cast<uint16_t>(dh))
      : "memory");
}

/// Keeps x in its register here: the compiler neither moves nor copies it past this point.
MOPROC_INLINE void pin(float& x) { asm volatile("" : "+f"(x)::"memory"); }
/// Must precede the first product of a group: orders registers written since the last one before it.
MOPROC_INLINE void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
MOPROC_INLINE void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
/// Waits until at most N of the latest groups of products are unfinished. No code may use the sums of unfinished
/// products.
template <int N>
MOPROC_INLINE void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}

#define MOPROC_8(d, i)                                                                                        \
  "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]), \
      "+f"(d[i + 7])
#define MOPROC_32(d, i) MOPROC_8(d, i), MOPROC_8(d, i + 8), MOPROC_8(d, i + 16), MOPROC_8(d, i + 24)
#define MOPROC_D0                                                                                                      \
  "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30," \
  "%31"
#define MOPROC_D32                                                                                                     \
  ",%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%59,%" \
  "60,%61,%62,%63"
#define MOPROC_D64                                                                                                     \
  ",%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%91,%" \
  "92,%93,%94,%95"
#define MOPROC_WGMMA(n) "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32.bf16.bf16 {"

/// d += a b: one warp group, A 64 x 16 and B 16 x N of bf16 in shared memory (wgmma_operand), f32 sums. A_ACROSS,
/// B_ACROSS: the operand's lines lie across k. Warp w of the group holds rows 16 w + g and 16 w + g + 8 of the result.
/// Columns 8 j + 2t and 8 j + 2t + 1 of the first row are in d[4 j], d[4 j + 1], of the second in d[4 j + 2], d[4 j +
/// 3] (lane = 4 g + t).
template <int N, bool A_ACROSS, bool B_ACROSS>
MOPROC_INLINE void wgmma_bf16(float (&d)[N / 2], uint64_t a, uint64_t b) {
  static_assert(N == 64 || N == 128 || N == 192, "columns of a product");
  if constexpr (N == 64)
    asm volatile(MOPROC_WGMMA(64) MOPROC_D0 "}, %32, %33, 1, 1, 1, %34, %35;"
                 : MOPROC_32(d, 0)
                 : "l"(a), "l"(b), "n"(A_ACROSS), "n"(B_ACROSS));
  else if constexpr (N == 128)
    asm volatile(MOPROC_WGMMA(128) MOPROC_D0 MOPROC_D32 "}, %64, %65, 1, 1, 1, %66, %67;"
                 : MOPROC_32(d, 0), MOPROC_32(d, 32)
                 : "l"(a), "l"(b), "n"(A_ACROSS), "n"(B_ACROSS));
  else
    asm volatile(MOPROC_WGMMA(192) MOPROC_D0 MOPROC_D32 MOPROC_D64 "}, %96, %97, 1, 1, 1, %98, %99;"
                 : MOPROC_32(d, 0), MOPROC_32(d, 32), MOPROC_32(d, 64)
                 : "l"(a), "l"(b), "n"(A_ACROSS), "n"(B_ACROSS));
}

#undef MOPROC_8
#undef MOPROC_32
#undef MOPROC_D0
#undef MOPROC_D32
#undef MOPROC_D64
#undef MOPROC_WGMMA

}  // namespace moproc
#endif
