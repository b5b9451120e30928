// dw[o,r,s,c] = sum over n, p, q of dy[n,p,q,o] * x[n, p*STRIDE+r-PAD, q*STRIDE+s-PAD, c], as a matrix product with
// M = OUT, N = (r,s,c), K = pixels. In both operands k runs across the lines, and ldmatrix transposes both. A block
// sums one TILE_ROWS x TILE_COLUMNS part of dw over the pixels of one split of a group; blocks of the same pixels are
// neighbours in the grid. The number of splits depends only on the shape of one group's part. Phase 1 adds the splits
// in a fixed order, then the groups in a balanced tree.
//
// Constants: C, H, W of x; OUT, P, Q of dy; R, S, STRIDE, PAD; WEIGHT_CHANNELS; Operand; DW_BUFFER (OUT, R, S,
// WEIGHT_CHANNELS). Tile constants as in conv_fprop.cuh: TILE_ROWS output channels and TILE_COLUMNS columns (r,s,c) per
// block, STAGE_TERMS pixels per stage; DY_MAP, X_MAP. struct Dy, X: prologues.
//
// Params::extent[0]: splits per group. Grid: groups * splits * ceil(OUT / TILE_ROWS) * ceil(columns / TILE_COLUMNS);
// unless groups * splits == 1, phase 1 has ceil(OUT * columns / 128) blocks and the workspace groups * splits * OUT *
// columns f32.
#pragma once

#include "cuda/tma_source.cuh"

namespace moproc {

template <class K>
struct WgradShape {
  using S = ConvShape<K>;
  using Product = ProductOf<K, false, false>;
  static constexpr int loaders = Path<K>::loaders;
  static constexpr bool linear = S::columns == S::C && K::STRIDE == 1 && K::PAD == 0;
  static constexpr bool dy_by_tma = by_tma<K>(Maps<K>::dy), x_by_tma = by_tma<K>(Maps<K>::x);
  using Lines = PixelLines<typename Product::A, loaders, K::OUT, K::P * K::Q>;
  using LoadDy = Selected<dy_by_tma, TmaPixelLines<K::TILE_ROWS>,
                          Loader<typename K::Operand, typename K::Dy, typename Product::A, Lines, loaders>>;
  using Windows = WindowLines<typename Product::B, loaders, S>;
  using LoadX = Selected<x_by_tma, Selected<linear, TmaPixelLines<K::TILE_COLUMNS>, TmaWindowLines<S, K::TILE_COLUMNS>>,
                         Loader<typename K::Operand, typename K::X, typename Product::B, Windows, loaders, (S::R > 1)>>;
  static constexpr int blocks_m = (K::OUT + K::TILE_ROWS - 1) / K::TILE_ROWS,
                       blocks_n = (S::columns + K::TILE_COLUMNS - 1) / K::TILE_COLUMNS;
  static constexpr int64_t size = static_cast<int64_t>(K::OUT) * S::columns;  // of a partial
  using Memory = BlockMemory<K, Product, (is_hopper<K> ? 0 : Path<K>::threads * 16), 0>;
  using Pipe = Pipeline<K, Product, LoadDy, LoadX, Memory::barriers_at>;
  static_assert(!S::paired || K::X::buffer >= 0, "pairs of pixels are read as they are stored");
};

/// Stores COUNT (2 or 4) neighbours of row o of dw from flat column `column`.
template <class K, int COUNT>
MOPROC_INLINE void wgrad_store(const Params& p, int o, int column, const float (&x)[COUNT]) {
  using S = ConvShape<K>;
  float* const dw = out<float>(p, K::DW_BUFFER) + static_cast<int64_t>(o) * (K::R * K::S * K::WEIGHT_CHANNELS);
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

/// Phase 1: a block adds 32 vectors of four columns. Each warp adds every (warps)-th split; the warps' sums are then
/// added in order.
template <class K>
MOPROC_INLINE void wgrad_combine(const Params& p, int splits) {
  using G = WgradShape<K>;
  constexpr int warps = Path<K>::threads / 32;
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

/// The part of dw and of the pixels that a block sums. Computed again after the main loop, as in conv_fprop.
template <class K>
struct WgradCut {
  int splits, m0, n0, part;
  MOPROC_INLINE WgradCut(const Params& p, int block) : splits(static_cast<int>(p.extent[0])) {
    using G = WgradShape<K>;
    constexpr int blocks = G::blocks_m * G::blocks_n;
    const int here = block % blocks;
    part = block / blocks;
    m0 = here / G::blocks_n * K::TILE_ROWS;
    n0 = here % G::blocks_n * K::TILE_COLUMNS;
  }
};

/// The pixels of the block's split of the group, in stages.
template <class K>
struct WgradPixels {
  int images, group, begin, end, stages;
  MOPROC_INLINE WgradPixels(const Params& p, const WgradCut<K>& cut)
      : images(static_cast<int>(p.rows) / static_cast<int>(p.groups)), group(cut.part / cut.splits) {
    constexpr int terms = Path<K>::terms;
    const int pixels = images * (K::P * K::Q), chunks = (pixels + terms - 1) / terms, split = cut.part % cut.splits;
    const auto chunk = [&](int s) { return static_cast<int>(static_cast<int64_t>(chunks) * s / cut.splits); };
    const int last = chunk(split + 1);
    begin = chunk(split) * terms;
    end = last * terms < pixels ? last * terms : pixels;
    stages = last - chunk(split);
  }
};

/// Calls use(dy, x) with the loaders of the operands of the block's part.
template <class K, class Use>
MOPROC_INLINE void wgrad_operands(const Params& p, Use use) {
  using G = WgradShape<K>;
  using S = typename G::S;
  const WgradCut<K> cut(p, block_anew());
  const WgradPixels<K> part(p, cut);
  const int group = part.group, begin = part.begin, end = part.end;
  const int64_t image0 = static_cast<int64_t>(group) * part.images;
  const auto with_dy = [&](const typename G::LoadDy& dy) {
    if constexpr (G::x_by_tma && G::linear) {
      use(dy, typename G::LoadX{p.map[K::X_MAP], begin, cut.n0, group});
    } else if constexpr (G::x_by_tma) {
      use(dy, typename G::LoadX{p.map[K::X_MAP], static_cast<int>(image0), begin, cut.n0});
    } else {
      typename G::Windows x(At{image0 * (S::H * S::W), image0, group, 0}, cut.n0, begin, end);
      use(dy, typename G::LoadX{p, x});
    }
  };
  if constexpr (G::dy_by_tma) {
    with_dy({p.map[K::DY_MAP], begin, cut.m0, group});
  } else {
    typename G::Lines dy{At{image0 * (K::P * K::Q), image0, group, cut.m0}, begin, end, 0};
    with_dy({p, dy});
  }
}

template <class K>
MOPROC_INLINE void conv_wgrad(const Params& p) {
  using G = WgradShape<K>;
  using S = typename G::S;
  if (p.phase == 1) return wgrad_combine<K>(p, static_cast<int>(p.extent[0]));
  const int stages = WgradPixels<K>(p, WgradCut<K>(p, static_cast<int>(blockIdx.x))).stages;
  typename G::Product product;
  if constexpr (is_hopper<K>) {
    typename G::Pipe pipe;
    pipe.make();
    if (pipe.is_loader()) {
      wgrad_operands<K>(p, [&](const auto& dy, const auto& x) { pipe.load(dy, x, stages); });
      return pipe.finish_loads();
    }
    product.clear();
    pipe.multiply(product, stages);
  } else {
    product.clear();
    wgrad_operands<K>(p, [&](const auto& dy, const auto& x) { main_loop<K>(product, dy, x, stages); });
  }
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
