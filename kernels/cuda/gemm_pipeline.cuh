// How the loading warp group and the workers of a block share stages of operands on sm_90a. A stage is full when every
// loading thread and every byte from TMA has arrived at its barrier, and empty when every worker warp has read it. Both
// sides use the stages in the same order, from tile to tile, so they need no other synchronisation.
#pragma once

#include "cuda/gemm_copy.cuh"
#include "cuda/wgmma_tile.cuh"

namespace moproc {

/// How an operand is loaded: by TMA, by threads that copy it as it is stored, or through registers and its prologue.
template <class Load>
inline constexpr bool comes_by_tma = requires { Load::tma; };
template <class Load>
MOPROC_BOTH constexpr int held_loads() {
  if constexpr (comes_by_tma<Load>) return 0;
  else return Load::loads;
}
template <class Load>
inline constexpr bool is_held = held_loads<Load>() > 0;
template <class Load>
inline constexpr bool is_copied = !comes_by_tma<Load> && !is_held<Load>;

/// The position of loaders or workers in the stages of K; barriers lie at byte BARRIERS of shared memory.
template <class K, class Product, class LoadA, class LoadB, int BARRIERS>
struct Pipeline {
  static constexpr int stages = Path<K>::stages, bytes = 2 * 8 * stages;  // bytes: of the barriers
  static constexpr bool copies = is_copied<LoadA> || is_copied<LoadB>, holds = is_held<LoadA> || is_held<LoadB>;
  static constexpr bool tma = comes_by_tma<LoadA> || comes_by_tma<LoadB>, only_tma = !copies && !holds;

  int slot = 0, parity = 0;

  /// Initialises the barriers. All threads of the block must call it.
  MOPROC_INLINE static void make() {
    if (threadIdx.x == 0) {
      for (int i = 0; i < stages; ++i) {
        mbarrier_init(full(i), Path<K>::loaders * (copies + holds) + tma);
        mbarrier_init(empty(i), Path<K>::workers / 32);
      }
      mbarrier_init_fence();
    }
    __syncthreads();
  }
  MOPROC_INLINE static bool is_loader() { return static_cast<int>(threadIdx.x) >= Path<K>::workers; }

  /// Called by the loading threads: loads stages [0, count) of a tile.
  MOPROC_INLINE void load(const LoadA& a, const LoadB& b, int count) {
    const bool first_thread = static_cast<int>(threadIdx.x) == Path<K>::workers;
    if (only_tma && !first_thread) return;
    // The registers suffice for a prologue's loads of two stages, so these are in flight together.
    constexpr int held = held_loads<LoadA>() + held_loads<LoadB>(), together = held > 0 && held <= 8 ? 2 : 1;
#pragma unroll 1
    for (int first = 0; first < count; first += together) {
      typename Held<LoadA>::type held_a[together];
      typename Held<LoadB>::type held_b[together];
#pragma unroll
      for (int i = 0; i < together; ++i)
        if (first + i < count) {
          if constexpr (is_held<LoadA>) a.fetch(first + i, 0, held_a[i]);
          if constexpr (is_held<LoadB>) b.fetch(first + i, 0, held_b[i]);
        }
#pragma unroll
      for (int i = 0; i < together; ++i)
        if (first + i < count) {
          const int k = first + i, at = slot * Product::stage_bytes;
          mbarrier_wait(empty(slot), parity ^ 1);
          if constexpr (tma)
            if (first_thread) mbarrier_arrive_expect(full(slot), tma_bytes(a, k) + tma_bytes(b, k));
          move(a, k, at, held_a[i], first_thread);
          move(b, k, at + Product::A::bytes, held_b[i], first_thread);
          if constexpr (copies) mbarrier_arrive_copies(full(slot));
          if constexpr (holds) {
            fence_async_reads();  // PTX lets readers fence alone; CUTLASS's kernels fence where the stores are
            mbarrier_arrive(full(slot));
          }
          next();
        }
    }
  }

  /// Called by the loading threads before they end: a thread must not end while its copies are in flight.
  MOPROC_INLINE static void finish_loads() {
    if constexpr (copies) {
      cp_async_commit();  // copies that no group holds are not waited for
      cp_async_wait<0>();
    }
  }

  /// Called by the workers: adds the products of stages [0, count) of a tile to `sum`.
  MOPROC_INLINE void multiply(Product& sum, int count) {
    int last = 0;
    sum.pin_sums();
#pragma unroll 1
    for (int k = 0; k < count; ++k) {
      mbarrier_wait(full(slot), parity);
      if constexpr (!only_tma) fence_async_reads();
      wgmma_fence();
      sum.add(slot * Product::stage_bytes);
      wgmma_commit();
      wgmma_wait<1>();
      if (k > 0) release(last);
      last = slot;
      next();
    }
    wgmma_wait<0>();
    sum.pin_sums();
    if (count > 0) release(last);
  }

 private:
  struct Nothing {};
  template <class Load, bool = comes_by_tma<Load>>
  struct Held {
    using type = typename Load::Held;
  };
  template <class Load>
  struct Held<Load, true> {
    using type = Nothing;
  };

  MOPROC_INLINE static uint32_t full(int i) { return shared_address(BARRIERS + 8 * i); }
  MOPROC_INLINE static uint32_t empty(int i) { return shared_address(BARRIERS + 8 * (stages + i)); }
  MOPROC_INLINE void next() {
    if (++slot == stages) slot = 0, parity ^= 1;
  }
  MOPROC_INLINE static void release(int i) {
    if (threadIdx.x % 32 == 0) mbarrier_arrive(empty(i));
  }
  template <class Load>
  MOPROC_INLINE static int tma_bytes(const Load& load, int k) {
    if constexpr (comes_by_tma<Load>) return load.bytes(k);
    else return 0;
  }
  template <class Load, class Held>
  MOPROC_INLINE void move(const Load& load, int k, int at, Held& held, bool first_thread) const {
    if constexpr (comes_by_tma<Load>) {
      if (first_thread) load.bring(k, shared_address(at), full(slot));
    } else if constexpr (is_held<Load>) {
      load.place(at, held);
    } else {
      load.fetch(k, at, held);
    }
  }
};

template <bool FIRST, class A, class B>
struct Select {
  using type = A;
};
template <class A, class B>
struct Select<false, A, B> {
  using type = B;
};
template <bool FIRST, class A, class B>
using Selected = typename Select<FIRST, A, B>::type;

/// A block's product on its path, and the layout of shared memory: the stages; scratch of the epilogue between tiles
/// (EPILOGUE bytes; after the stages on sm_90a, otherwise in their place); the epilogue's state (STATE bytes); the
/// barriers of the stages.
template <class K, bool A_K_MAJOR, bool B_K_MAJOR>
using ProductOf =
    Selected<is_hopper<K>, WarpGroupProduct<K, A_K_MAJOR, B_K_MAJOR>, BlockProduct<K, A_K_MAJOR, B_K_MAJOR>>;
template <class K, class Product>
inline constexpr int scratch_at = is_hopper<K> ? Path<K>::stages * Product::stage_bytes : 0;
template <class K, class Product, int EPILOGUE, int STATE>
struct BlockMemory {
  static constexpr int stages = Path<K>::stages * Product::stage_bytes;
  static constexpr int state_at = is_hopper<K> ? stages + EPILOGUE : static_cast<int>(larger(stages, EPILOGUE));
  static constexpr int barriers_at = state_at + STATE;
  static constexpr int bytes = barriers_at + (is_hopper<K> ? 16 * Path<K>::stages : 0);
  static_assert(brings_shared<K>(bytes), "the launch brings other shared memory than the kernel carves");
};

}  // namespace moproc
