// y[n,p,q,o] = sum over (r,s,c) of x[n, p*STRIDE+r-PAD, q*STRIDE+s-PAD, c] * w[o,r,s,c], as a matrix product with M =
// pixels of y, N = OUT, K = taps. A block computes TILE_COLUMNS channels of a run of tiles of TILE_ROWS pixels, all in
// one group. Blocks of the same pixels are neighbours in the grid, so that x is read from memory once. The kernel is
// bound by memory if there are few channels and by the tensor cores if there are many; the limit is about 180 products
// per byte.
//
// Constants: C, H, W of x; OUT, P, Q of y; R, S, STRIDE, PAD; WEIGHT_CHANNELS (of the weights, if fewer than C);
// Operand (gemm_tile.cuh); W_BUFFER (packed weights). struct X, Y: prologue and epilogue. Tile constants
// (compiler/lower/templates/cuda/conv.ts chooses them):
//   TILE_ROWS, TILE_COLUMNS  pixels and channels that a block computes at a time
//   STAGE_TERMS, STAGES      terms of a stage, and stages in shared memory
//   THREADS                  threads of a block
// For sm_90a also HOPPER_WORKERS, HOPPER_STAGES, HOPPER_BLOCKS, HOPPER_SHARED_BYTES (gemm_path.cuh) and X_MAP, W_MAP
// (tma_source.cuh).
//
// Params::extent[0]: tiles per run. Grid: groups * ceil(tiles / run) * ceil(OUT / TILE_COLUMNS) with tiles =
// ceil(pixels of a group / TILE_ROWS). Phase 1, if Y has sums or moments, combines the partials of the runs.
#pragma once

#include "cuda/gemm_epilogue.cuh"
#include "cuda/tma_source.cuh"

namespace moproc {

template <class K>
struct FpropShape {
  using S = ConvShape<K>;
  using Product = ProductOf<K, true, true>;
  static constexpr bool linear = S::columns == S::C && K::STRIDE == 1 && K::PAD == 0;
  static constexpr int loaders = Path<K>::loaders;
  using Store = Epilogue<K, typename K::Y, K::OUT, scratch_at<K, Product>>;
  using Rows = WindowRows<typename Product::A, loaders, S::H, S::W, S::C, S::R, S::S, linear>;
  using Weights = WeightRows<typename Product::B, loaders, K::OUT, S::columns>;
  static constexpr bool x_by_tma = by_tma<K>(Maps<K>::x), w_by_tma = by_tma<K>(Maps<K>::w);
  using LoadX = Selected<x_by_tma, Selected<linear, TmaRows<K::TILE_ROWS>, TmaWindowRows<K::TILE_ROWS, S::C>>,
                         Loader<typename K::Operand, typename K::X, typename Product::A, Rows, loaders, (S::R > 1)>>;
  using LoadW = Selected<w_by_tma, TmaRows<K::TILE_COLUMNS>,
                         Loader<typename K::Operand, Plain<K::W_BUFFER>, typename Product::B, Weights, loaders>>;
  static constexpr int pixels = K::P * K::Q, blocks_n = ceil_div(K::OUT, K::TILE_COLUMNS);
  static constexpr int stages = ceil_div(S::columns, Path<K>::terms);  // of a tile
  using Memory = BlockMemory<K, Product, Store::scratch_bytes, Store::state_bytes>;
  using Pipe = Pipeline<K, Product, LoadX, LoadW, Memory::barriers_at>;
  static_assert(!S::paired || K::X::buffer >= 0, "pairs of pixels are read as they are stored");
};

/// Sets the rows of a tile to the windows of pixels first, first + 1, ... of the group's `count`.
template <class K, class Rows>
MOPROC_INLINE void fprop_windows(Rows& rows, int first, int count) {
  using S = ConvShape<K>;
  constexpr int pixels = K::P * K::Q;
  const int image0 = first / pixels;
#pragma unroll
  for (int pass = 0; pass < Rows::U::passes; ++pass) {
    const int m = first + Rows::U::line(pass), n = m / pixels, rest = m - n * pixels, p = rest / K::Q;
    if (m < count) rows.set(pass, n - image0, p * S::STRIDE_H - S::PAD_H, (rest - p * K::Q) * S::STRIDE_W - S::PAD_W);
    else rows.set_nothing(pass);
  }
}

/// How the pixels are divided, and the block's part. Computed again after a main loop, so that the values take no
/// registers during it.
template <class K>
struct FpropCut {
  int images, count, tiles, run, runs, column, group, run_of_group;
  MOPROC_INLINE FpropCut(const Params& p, int block)
      : images(static_cast<int>(p.rows) / static_cast<int>(p.groups)),
        count(images * FpropShape<K>::pixels),
        tiles((count + K::TILE_ROWS - 1) / K::TILE_ROWS),
        run(static_cast<int>(p.extent[0])),
        runs((tiles + run - 1) / run) {
    const int part = block / FpropShape<K>::blocks_n;
    column = block % FpropShape<K>::blocks_n * K::TILE_COLUMNS;
    group = part / runs;
    run_of_group = part % runs;
  }
  MOPROC_INLINE int first_tile() const { return run_of_group * run; }
  MOPROC_INLINE int end_tile() const { return first_tile() + run < tiles ? first_tile() + run : tiles; }
};

/// Calls use(x, w) with the loaders of the operands of a tile.
template <class K, class Use>
MOPROC_INLINE void fprop_operands(const Params& p, int tile, Use use) {
  using F = FpropShape<K>;
  using S = typename F::S;
  const FpropCut<K> cut(p, block_anew());
  const int first = tile * K::TILE_ROWS, image0 = cut.group * cut.images, image = image0 + first / F::pixels;
  typename F::Weights weights{cut.column, 0};
  const auto with_x = [&](const typename F::LoadX& x) {
    if constexpr (F::w_by_tma) use(x, typename F::LoadW{p.map[K::W_MAP], cut.column, 0});
    else use(x, typename F::LoadW{p, weights});
  };
  if constexpr (F::x_by_tma && F::linear) {
    with_x({p.map[K::X_MAP], first, cut.group});
  } else if constexpr (F::x_by_tma) {
    with_x({p.map[K::X_MAP], WindowStart::of<K::P, K::Q>(image0, first, K::STRIDE, -K::PAD, -K::PAD), K::S});
  } else {
    const int64_t origin =
        F::linear ? static_cast<int64_t>(image0) * F::pixels + first : static_cast<int64_t>(image) * (S::H * S::W);
    typename F::Rows rows(At{origin, image, cut.group, 0}, cut.count - first, S::R, S::S);
    fprop_windows<K>(rows, first, cut.count);
    with_x({p, rows});
  }
}

template <class K>
MOPROC_INLINE void fprop_tile(const Params& p, int tile, typename FpropShape<K>::Pipe& pipe) {
  using F = FpropShape<K>;
  const int first = tile * K::TILE_ROWS;
  typename F::Product product;
  product.clear();
  if constexpr (is_hopper<K>) pipe.multiply(product, F::stages);
  else fprop_operands<K>(p, tile, [&](const auto& x, const auto& w) { main_loop<K>(product, x, w, F::stages); });
  const FpropCut<K> cut(p, block_anew());
  const int image0 = cut.group * cut.images, rest = cut.count - first;
  const int64_t pixel = static_cast<int64_t>(image0) * F::pixels + first;
  typename F::Store store(shared_memory + F::Memory::state_at, cut.column, first - cut.first_tile() * K::TILE_ROWS);
  store.template tile<true>(p, product, cut.group, rest < K::TILE_ROWS ? rest : K::TILE_ROWS,
                            [&](int m) { return Place{true, pixel + m, image0 + (first + m) / F::pixels}; });
}

template <class K>
MOPROC_INLINE void conv_fprop(const Params& p) {
  using F = FpropShape<K>;
  using Y = typename K::Y;
  const FpropCut<K> cut(p, static_cast<int>(blockIdx.x));
  if constexpr (partial_values<Y> > 0)
    if (p.phase == 1) {
      const int run_pixels = cut.run * K::TILE_ROWS;
      return combine_partials<Y, K::OUT, Path<K>::threads>(
          p, cut.runs, [&](int64_t i) { return smaller(i * run_pixels, cut.count); });
    }
  const int end = cut.end_tile();
  typename F::Pipe pipe;
  if constexpr (is_hopper<K>) {
    pipe.make();
    if (pipe.is_loader()) {
#pragma unroll 1
      for (int tile = cut.first_tile(); tile < end; ++tile)
        fprop_operands<K>(p, tile, [&](const auto& x, const auto& w) { pipe.load(x, w, F::stages); });
      return pipe.finish_loads();
    }
  }
  typename F::Store store(shared_memory + F::Memory::state_at, cut.column);
  store.begin(cut.group * cut.runs + cut.run_of_group);
#pragma unroll 1
  for (int tile = cut.first_tile(); tile < end; ++tile) fprop_tile<K>(p, tile, pipe);
  store.end(p);
}

}  // namespace moproc
