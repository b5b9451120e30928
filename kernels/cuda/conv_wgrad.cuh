// dw[o,r,s,c] = sum over n, p, q of dy[n,p,q,o] * x[n, p*STRIDE+r-PAD, q*STRIDE+s-PAD, c]: a matrix product of M = OUT,
// N = (r,s,c), K = pixels. Both operands lie with k across their lines, and ldmatrix transposes both. A block sums one
// BM x BN part of dw over the pixels of one split of a group; blocks of the same pixels follow each other. Splits depend
// on the shape of one group's part alone; phase 1 adds them in a fixed order, then the groups in a balanced tree.
//
// K: C, H, W, OUT, P, Q, R, S, STRIDE, PAD, CW; Operand; BM, BN, BK, STAGES, THREADS; Dy, X, DW_BUFFER (OUT, R, S, CW).
// Params::extent[0]: splits of a group. Grid: groups * splits * ceil(OUT / BM) * ceil(columns / BN); phase 1 (unless
// groups * splits == 1) ceil(OUT * columns / 128). Workspace (unless ...): groups * splits * OUT * columns f32.
#pragma once

#include "cuda/conv_source.cuh"

namespace moproc {

template <class K> struct WgradShape {
  using S = ConvShape<K>;
  using Product = BlockProduct<K, false, false>;
  using Lines = PixelLines<typename Product::A, K::THREADS, K::OUT, K::P * K::Q>;
  using Windows = WindowLines<typename Product::B, K::THREADS, S>;
  using LoadDy = Loader<typename K::Operand, typename K::Dy, typename Product::A, Lines, K::THREADS>;
  using LoadX = Loader<typename K::Operand, typename K::X, typename Product::B, Windows, K::THREADS, (S::R > 1)>;
  static constexpr int blocks_m = (K::OUT + K::BM - 1) / K::BM, blocks_n = (S::columns + K::BN - 1) / K::BN;
  static constexpr int64_t size = static_cast<int64_t>(K::OUT) * S::columns;  // of a partial
  static constexpr int shared_bytes = static_cast<int>(larger(K::STAGES * Product::stage_bytes, K::THREADS * 16));
  static_assert(brings_shared<K>(shared_bytes), "the launch brings other shared memory than the kernel carves");
  static_assert(!S::paired || K::X::buffer >= 0, "pairs of pixels are read as they are stored");
};

/// Stores `count` (2 or 4) neighbours of row o of dw from flat column `column`.
template <class K, int COUNT>
MOPROC_INLINE void wgrad_store(const Params& p, int o, int column, const float (&x)[COUNT]) {
  using S = ConvShape<K>;
  float* const dw = out<float>(p, K::DW_BUFFER) + static_cast<int64_t>(o) * (K::R * K::S * K::CW);
  if constexpr (S::repacked) {
#pragma unroll
    for (int i = 0; i < COUNT; ++i) {
      const int at = S::weight_at(column + i);
      if (at >= 0) dw[at] = x[i];
    }
  } else if constexpr (COUNT == 2) {
    *reinterpret_cast<float2*>(dw + column) = make_float2(x[0], x[1]);
  } else {
    *reinterpret_cast<float4*>(dw + column) = make_float4(x[0], x[1], x[2], x[3]);
  }
}

MOPROC_INLINE float4 add(float4 a, float4 b) { return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w); }

/// Phase 1: a block adds 32 vectors of four columns. Warps take every (warps)-th split each and are then added in order.
template <class K> MOPROC_INLINE void wgrad_combine(const Params& p, int splits) {
  using G = WgradShape<K>;
  constexpr int warps = K::THREADS / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int64_t at = (static_cast<int64_t>(blockIdx.x) * 32 + lane) * 4;
  const bool exists = at < G::size, first = warp == 0 && exists;
  float4* const partial = reinterpret_cast<float4*>(static_cast<float*>(p.workspace) + (exists ? at : 0));
  float4* const of_warps = reinterpret_cast<float4*>(shared_memory);  // (warp, lane)
  constexpr int64_t next = G::size / 4;                               // from split to split
  float4 sum = make_float4(0, 0, 0, 0);
#pragma unroll 1
  for (int64_t g = 0; g < p.groups; ++g) {
    sum = make_float4(0, 0, 0, 0);
#pragma unroll 8
    for (int s = warp; s < splits; s += warps) sum = add(sum, partial[(g * splits + s) * next]);
    of_warps[warp * 32 + lane] = sum;
    __syncthreads();
    if (first) {
#pragma unroll
      for (int w = 1; w < warps; ++w) sum = add(sum, of_warps[w * 32 + lane]);
      if (p.groups > 1) partial[g * splits * next] = sum;
    }
    __syncthreads();
  }
  if (!first) return;
  for (int64_t step = 1; step < p.groups; step *= 2)
    for (int64_t g = 0; g + step < p.groups; g += 2 * step) {
      sum = add(partial[g * splits * next], partial[(g + step) * splits * next]);
      partial[g * splits * next] = sum;
    }
  if (p.groups > 1) sum = partial[0];
  const float values[4] = {sum.x, sum.y, sum.z, sum.w};
  constexpr int columns = ConvShape<K>::columns;
  wgrad_store<K>(p, static_cast<int>(at / columns), static_cast<int>(at % columns), values);
}

/// The part of dw and of the pixels that a block sums. Made anew after the main loop, as in conv_fprop.
template <class K> struct WgradCut {
  int splits, m0, n0, part;
  MOPROC_INLINE WgradCut(const Params& p, int block) : splits(static_cast<int>(p.extent[0])) {
    using G = WgradShape<K>;
    constexpr int blocks = G::blocks_m * G::blocks_n;
    const int here = block % blocks;
    part = block / blocks;
    m0 = here / G::blocks_n * K::BM;
    n0 = here % G::blocks_n * K::BN;
  }
};

template <class K> MOPROC_INLINE void wgrad_product(const Params& p, typename WgradShape<K>::Product& product) {
  using G = WgradShape<K>;
  using S = typename G::S;
  const WgradCut<K> cut(p, static_cast<int>(blockIdx.x));
  const int split = cut.part % cut.splits, group = cut.part / cut.splits;
  const int images = static_cast<int>(p.rows) / static_cast<int>(p.groups);
  const int pixels = images * (K::P * K::Q), chunks = (pixels + K::BK - 1) / K::BK;
  const int64_t image0 = static_cast<int64_t>(group) * images;
  const auto chunk = [&](int s) { return static_cast<int>(static_cast<int64_t>(chunks) * s / cut.splits); };
  const int begin = chunk(split) * K::BK, last = chunk(split + 1) * K::BK, end = last < pixels ? last : pixels;
  typename G::Lines dy{At{image0 * (K::P * K::Q), image0, group, cut.m0}, begin, end, 0};
  typename G::Windows x(At{image0 * (S::H * S::W), image0, group, 0}, cut.n0, begin, end);
  product.clear();
  main_loop<K>(product, typename G::LoadDy{p, dy}, typename G::LoadX{p, x}, chunk(split + 1) - chunk(split));
}

template <class K> MOPROC_INLINE void conv_wgrad(const Params& p) {
  using G = WgradShape<K>;
  using S = typename G::S;
  if (p.phase == 1) return wgrad_combine<K>(p, static_cast<int>(p.extent[0]));
  typename G::Product product;
  wgrad_product<K>(p, product);
  const WgradCut<K> cut(p, block_anew());
  float* const partial = static_cast<float*>(p.workspace) + cut.part * G::size;
  const bool whole = p.groups * cut.splits == 1;
  product.each_pair([&](int row, int column, float v, float w) {
    const int o = cut.m0 + row, at = cut.n0 + column;
    if (o >= K::OUT || at >= S::columns) return;
    if (whole) wgrad_store<K>(p, o, at, {v, w});
    else *reinterpret_cast<float2*>(partial + static_cast<int64_t>(o) * S::columns + at) = make_float2(v, w);
  });
}

}  // namespace moproc
