// One kernel per primitive, which writes the primitive's result for given bytes. Tests use them to compare a GPU's
// primitives with the emulator's, and the emulator's with plain loops. One block; buffer 0 is the input, buffer 1 the
// result. No result depends on behaviour that CUDA leaves undefined.
#pragma once

#include "cuda/gemm_pipeline.cuh"
#include "cuda/vec.cuh"

namespace moproc {

MOPROC_INLINE uint32_t pair_of(uint16_t low, uint16_t high) { return low | static_cast<uint32_t>(high) << 16; }

/// d = a b, one warp. In: bf16 a (16, 16), b (16, 8). Out: f32 d (16, 8).
MOPROC_INLINE void probe_mma_bf16(const Params& p) {
  const uint16_t* const a = in<uint16_t>(p, 0);
  const uint16_t* const b = a + 256;
  const int lane = static_cast<int>(threadIdx.x), g = lane / 4, t = lane % 4;
  uint32_t x[4], w[2];
  for (int i = 0; i < 4; ++i) {
    const int row = g + i % 2 * 8, k = 2 * t + i / 2 * 8;
    x[i] = pair_of(a[row * 16 + k], a[row * 16 + k + 1]);
  }
  for (int i = 0; i < 2; ++i) w[i] = pair_of(b[(2 * t + 8 * i) * 8 + g], b[(2 * t + 8 * i + 1) * 8 + g]);
  float d[4] = {};
  mma_bf16(d, x, w[0], w[1]);
  for (int e = 0; e < 4; ++e) out<float>(p, 1)[(g + e / 2 * 8) * 8 + 2 * t + e % 2] = d[e];
}

/// d = a b of numbers rounded to tf32, one warp. In: f32 a (16, 8), b (8, 8). Out: f32 d (16, 8).
MOPROC_INLINE void probe_mma_tf32(const Params& p) {
  const float* const a = in<float>(p, 0);
  const float* const b = a + 128;
  const int lane = static_cast<int>(threadIdx.x), g = lane / 4, t = lane % 4;
  uint32_t x[4], w[2];
  for (int i = 0; i < 4; ++i) x[i] = to_tf32(a[(g + i % 2 * 8) * 8 + t + i / 2 * 4]);
  for (int i = 0; i < 2; ++i) w[i] = to_tf32(b[(t + 4 * i) * 8 + g]);
  float d[4] = {};
  mma_tf32(d, x, w[0], w[1]);
  for (int e = 0; e < 4; ++e) out<float>(p, 1)[(g + e / 2 * 8) * 8 + 2 * t + e % 2] = d[e];
}

/// In: 32 f32. Out: each rounded to tf32.
MOPROC_INLINE void probe_to_tf32(const Params& p) {
  out<float>(p, 1)[threadIdx.x] = __uint_as_float(to_tf32(in<float>(p, 0)[threadIdx.x]));
}

/// Four 8 x 8 matrices whose rows lie in shuffled places of 512 bytes of shared memory, one warp. In: 256 16-bit
/// numbers, row by row. Out: the four registers of every lane.
template <bool TRANSPOSED>
MOPROC_INLINE void probe_ldmatrix(const Params& p) {
  const int lane = static_cast<int>(threadIdx.x), place = lane * 7 % 32 * 16;
  for (int i = 0; i < 8; ++i) reinterpret_cast<uint16_t*>(shared_memory + place)[i] = in<uint16_t>(p, 0)[lane * 8 + i];
  __syncthreads();
  uint32_t r[4];
  if (TRANSPOSED) ldmatrix_x4_trans(r, shared_address(place));
  else ldmatrix_x4(r, shared_address(place));
  for (int i = 0; i < 4; ++i) {
    out<uint16_t>(p, 1)[(lane * 4 + i) * 2] = static_cast<uint16_t>(r[i]);
    out<uint16_t>(p, 1)[(lane * 4 + i) * 2 + 1] = static_cast<uint16_t>(r[i] >> 16);
  }
}

/// Lane l copies 4 f32, of which l % 5 are real, in three ways and two groups; 1536 bytes of shared memory, one warp.
/// Out: the results of the three copies, 12 f32 per lane.
MOPROC_INLINE void probe_cp_async(const Params& p) {
  const int lane = static_cast<int>(threadIdx.x);
  const float* const from = in<float>(p, 0) + lane * 4;
  cp_async16(shared_address(lane * 16), from, lane % 5 * 4);
  cp_async_commit();
  cp_async16_cached(shared_address(512 + lane * 16), from, 16);
  for (int i = 0; i < 4; ++i) cp_async4(shared_address(1024 + lane * 16 + 4 * i), from + i, i < 2 ? 4 : 0);
  cp_async_commit();
  cp_async_wait<1>();
  for (int i = 0; i < 4; ++i)
    out<float>(p, 1)[lane * 12 + i] = reinterpret_cast<const float*>(shared_memory)[lane * 4 + i];
  cp_async_wait<0>();
  for (int i = 0; i < 8; ++i)
    out<float>(p, 1)[lane * 12 + 4 + i] =
        reinterpret_cast<const float*>(shared_memory + 512 + i / 4 * 512)[lane * 4 + i % 4];
}

/// Two halves of 128 threads, each with a barrier of its own; 512 bytes of shared memory. In: 128 f32. Out: each half
/// reversed.
MOPROC_INLINE void probe_named_barrier(const Params& p) {
  const int thread = static_cast<int>(threadIdx.x), half = thread / 64, mirror = half * 64 + 63 - thread % 64;
  float* const held = reinterpret_cast<float*>(shared_memory);
  held[thread] = in<float>(p, 0)[thread];
  named_barrier(1 + half, 64);
  out<float>(p, 1)[thread] = held[mirror];
}

#if defined(MOPROC_SM90)

template <int N>
struct ProbedProduct {
  using Operand = Bf16;
  static constexpr int TILE_ROWS = 64, TILE_COLUMNS = N, HOPPER_WORKERS = 128, HOPPER_STAGES = 1;
};

/// d = a b, one warp group. In: bf16 a, then b, as lines of shared memory: k-major (64, 64) and (N, 64), across k the
/// other way. Out: f32 d (64, N).
template <int N, bool A_ACROSS, bool B_ACROSS>
MOPROC_INLINE void probe_wgmma(const Params& p) {
  using Product = WarpGroupProduct<ProbedProduct<N>, !A_ACROSS, !B_ACROSS>;
  const uint16_t* from = in<uint16_t>(p, 0);
  const auto stage = [&](auto tile, int at) {
    using Tile = decltype(tile);
    for (int i = static_cast<int>(threadIdx.x); i < Tile::lines * Tile::width; i += 128) {
      const int line = i / Tile::width, column = i % Tile::width;
      *reinterpret_cast<uint16_t*>(shared_memory + at + Tile::at(line, column / 8) + column % 8 * 2) = from[i];
    }
    from += Tile::lines * Tile::width;
  };
  stage(typename Product::A(), 0);
  stage(typename Product::B(), Product::A::bytes);
  fence_async_reads();
  __syncthreads();
  Product product;
  product.clear();
  product.pin_sums();
  wgmma_fence();
  product.add(0);
  wgmma_commit();
  wgmma_wait<0>();
  product.pin_sums();
  product.each_pair([&](int row, int column, float x, float y) {
    out<float>(p, 1)[row * N + column] = x;
    out<float>(p, 1)[row * N + column + 1] = y;
  });
}

/// Waits for a barrier at byte 8192 of shared memory to which `bring` reports 64 lines of 128 bytes, and writes the
/// lines to the result. Out: bf16 (64, 64).
template <class Bring>
MOPROC_INLINE void probe_tma(const Params& p, Bring bring) {
  using Tile = SwizzledTile<64, 64>;
  const uint32_t barrier = shared_address(Tile::bytes);
  if (threadIdx.x == 0) {
    mbarrier_init(barrier, 1);
    mbarrier_init_fence();
  }
  __syncthreads();
  for (int round = 0; round < 2; ++round) {  // the second shows that parity alternates
    if (threadIdx.x == 0) {
      mbarrier_arrive_expect(barrier, Tile::bytes);
      bring(shared_address(0), barrier);
    }
    mbarrier_wait(barrier, round);
    __syncthreads();
  }
  for (int i = static_cast<int>(threadIdx.x); i < 64 * 64; i += 128)
    out<uint16_t>(p, 1)[i] =
        *reinterpret_cast<const uint16_t*>(shared_memory + Tile::at(i / 64, i % 64 / 8) + i % 8 * 2);
}
/// A box of 64 x 64 from (extent[0], extent[1], extent[2]) of map 0.
MOPROC_INLINE void probe_tma_box(const Params& p) {
  probe_tma(p, [&](uint32_t to, uint32_t barrier) {
    tma_box(to, p.map[0], barrier, static_cast<int>(p.extent[0]), static_cast<int>(p.extent[1]),
            static_cast<int>(p.extent[2]));
  });
}
/// 64 pixels of 64 channels of map 0 from the base pixel (w, h) = (extent[0], extent[1]) of image 0, shifted by (2, 1).
MOPROC_INLINE void probe_tma_pixels(const Params& p) {
  probe_tma(p, [&](uint32_t to, uint32_t barrier) {
    tma_pixels(to, p.map[0], barrier, 0, static_cast<int>(p.extent[0]), static_cast<int>(p.extent[1]), 0, 2, 1);
  });
}

/// Two warps share 512 bytes: the first copies data to them, the second waits for the copies, reads them and releases
/// the bytes; two rounds. In: 256 f32. Out: the same.
MOPROC_INLINE void probe_mbarrier(const Params& p) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const uint32_t full = shared_address(512), empty = shared_address(520);
  if (threadIdx.x == 0) {
    mbarrier_init(full, 32);
    mbarrier_init(empty, 32);
    mbarrier_init_fence();
  }
  __syncthreads();
  for (int round = 0; round < 2; ++round) {
    if (threadIdx.x < 32) {
      mbarrier_wait(empty, round ^ 1);
      cp_async16(shared_address(lane * 16), in<float>(p, 0) + round * 128 + lane * 4, 16);
      mbarrier_arrive_copies(full);
    } else {
      mbarrier_wait(full, round);
      for (int i = 0; i < 4; ++i)
        out<float>(p, 1)[round * 128 + lane * 4 + i] = reinterpret_cast<const float*>(shared_memory)[lane * 4 + i];
      mbarrier_arrive(empty);
    }
  }
  if (threadIdx.x < 32) {
    cp_async_commit();
    cp_async_wait<0>();
  }
}

/// How operands with a prologue reach products: 128 threads store stages, fence and arrive; 128 others wait, multiply
/// and release. Two stages, `probe_rounds` rounds. In: bf16, of each round 64 x 64 of a, then of b, 64 elements per
/// line, both along k. Out: f32 (64, 64), the sum of the products of all rounds.
constexpr int probe_rounds = 4;
MOPROC_INLINE void probe_wgmma_rounds(const Params& p) {
  using Product = WarpGroupProduct<ProbedProduct<64>, true, true>;
  constexpr int barriers = 2 * Product::stage_bytes, lines = 128;
  const auto full = [&](int i) { return shared_address(barriers + 8 * i); };
  const auto empty = [&](int i) { return shared_address(barriers + 16 + 8 * i); };
  if (threadIdx.x == 0) {
    for (int i = 0; i < 2; ++i) mbarrier_init(full(i), 128), mbarrier_init(empty(i), 4);
    mbarrier_init_fence();
  }
  __syncthreads();
  if (threadIdx.x >= 128) {
    for (int round = 0; round < probe_rounds; ++round) {
      const int slot = round % 2;
      mbarrier_wait(empty(slot), round / 2 % 2 ^ 1);
      for (int i = static_cast<int>(threadIdx.x) - 128; i < lines * 8; i += 128) {
        const int line = i / 8, chunk = i % 8, at = slot * Product::stage_bytes + line / 64 * Product::A::bytes;
        store_shared16(at + Product::A::at(line % 64, chunk), in<uint4>(p, 0)[(round * lines + line) * 8 + chunk]);
      }
      fence_async_reads();
      mbarrier_arrive(full(slot));
    }
    return;
  }
  Product product;
  product.clear();
  product.pin_sums();
  for (int round = 0; round < probe_rounds; ++round) {
    const int slot = round % 2;
    mbarrier_wait(full(slot), round / 2 % 2);
    fence_async_reads();
    wgmma_fence();
    product.add(slot * Product::stage_bytes);
    wgmma_commit();
    wgmma_wait<0>();
    if (threadIdx.x % 32 == 0) mbarrier_arrive(empty(slot));
  }
  product.pin_sums();
  product.each_pair([&](int row, int column, float x, float y) {
    out<float>(p, 1)[row * 64 + column] = x;
    out<float>(p, 1)[row * 64 + column + 1] = y;
  });
}

#endif

}  // namespace moproc
