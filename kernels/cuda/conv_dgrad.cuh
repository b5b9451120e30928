// dx[n,h,w,c] = sum over o and the taps (r,s) with h = p*STRIDE+r-PAD, w = q*STRIDE+s-PAD of dy[n,p,q,o] * w[o,r,s,c],
// as a matrix product with M = pixels of dx, N = C, K = (tap, o). The weights are packed as for conv_fprop: their c
// runs along the columns of the product, and ldmatrix transposes. The pixels of dx of one residue (h mod STRIDE, w mod
// STRIDE) have the same taps and form tiles of their own, so no inserted zero is multiplied; pixels without taps get
// the epilogue of 0. A tile is TILE_ROWS cells of STRIDE x STRIDE pixels. Its residues are computed one after the
// other, so that dy is read from memory once.
//
// Constants: as in conv_fprop.cuh, with C, H, W of dx and OUT, P, Q of dy; TILE_ROWS counts cells; DY_MAP for X_MAP.
// struct Dy: prologue; struct Y: epilogue, which may have sums but no moments.
//
// Params::extent[0]: tiles per run. Grid: groups * ceil(tiles / run) * ceil(C / TILE_COLUMNS) with tiles = ceil(cells
// of a group / TILE_ROWS), cells of an image = ceil(H / STRIDE) * ceil(W / STRIDE). Phase 1, if Y has sums, combines
// the partials of the runs.
#pragma once

#include "cuda/gemm_epilogue.cuh"
#include "cuda/tma_source.cuh"

namespace moproc {

template <class K>
struct DgradShape {
  using Product = ProductOf<K, true, false>;
  using Store = Epilogue<K, typename K::Y, K::C, scratch_at<K, Product>>;
  static constexpr int STRIDE = K::STRIDE, taps_h = (K::R + STRIDE - 1) / STRIDE, taps_w = (K::S + STRIDE - 1) / STRIDE;
  static constexpr bool linear = K::R == 1 && K::S == 1 && STRIDE == 1 && K::PAD == 0;
  static constexpr int loaders = Path<K>::loaders;
  using Rows = WindowRows<typename Product::A, loaders, K::P, K::Q, K::OUT, taps_h, taps_w, linear>;
  using Weights = WeightColumns<typename Product::B, loaders, K>;
  static constexpr bool dy_by_tma = by_tma<K>(Maps<K>::dy), w_by_tma = by_tma<K>(Maps<K>::w);
  using LoadDy = Selected<dy_by_tma, Selected<linear, TmaRows<K::TILE_ROWS>, TmaWindowRows<K::TILE_ROWS, K::OUT>>,
                          Loader<typename K::Operand, typename K::Dy, typename Product::A, Rows, loaders, (K::R > 1)>>;
  using LoadW = Selected<w_by_tma, TmaWeightColumns<K, K::TILE_COLUMNS>,
                         Loader<typename K::Operand, Plain<K::W_BUFFER>, typename Product::B, Weights, loaders>>;
  static constexpr int rows = (K::H + STRIDE - 1) / STRIDE, columns = (K::W + STRIDE - 1) / STRIDE,
                       cells = rows * columns;
  static constexpr int blocks_n = (K::C + K::TILE_COLUMNS - 1) / K::TILE_COLUMNS;
  using Memory = BlockMemory<K, Product, Store::scratch_bytes, Store::state_bytes>;
  using Pipe = Pipeline<K, Product, LoadDy, LoadW, Memory::barriers_at>;
  static_assert(K::C % 8 == 0 && K::OUT % 8 == 0, "channels come in units of 8");
  static_assert(!has_moments<typename K::Y>, "a gradient has no moments");
};

/// One residue of a tile: pixels (i * STRIDE + a, j * STRIDE + b) of cells (i, j).
template <class K>
struct Residue {
  int a, b;
  TapRun rows, columns;
  MOPROC_INLINE explicit Residue(int i)
      : a(i / K::STRIDE),
        b(i % K::STRIDE),
        rows(tap_run(a, K::STRIDE, K::PAD, K::R)),
        columns(tap_run(b, K::STRIDE, K::PAD, K::S)) {}
  MOPROC_INLINE int stages() const { return (rows.taps * columns.taps * K::OUT + Path<K>::terms - 1) / Path<K>::terms; }
};

/// How the cells of a group are divided into tiles and runs.
template <class K>
struct DgradCut {
  int images, count, tiles, run, runs;
  MOPROC_INLINE explicit DgradCut(const Params& p)
      : images(static_cast<int>(p.rows) / static_cast<int>(p.groups)),
        count(images * DgradShape<K>::cells),
        tiles((count + K::TILE_ROWS - 1) / K::TILE_ROWS),
        run(static_cast<int>(p.extent[0])),
        runs((tiles + run - 1) / run) {}
};

/// Calls use(dy, w) with the loaders of the operands of one residue, for the tile of cells first, first + 1, ... of a
/// group.
template <class K, class Use>
MOPROC_INLINE void dgrad_operands(const Params& p, int column0, int group, int first, const Residue<K>& residue,
                                  Use use) {
  using D = DgradShape<K>;
  const DgradCut<K> cut(p);
  const TapRun v = residue.rows, u = residue.columns;
  const int image0 = group * cut.images, n0 = first / D::cells;
  typename D::Weights weights{v, u, column0, 0, 0};
  const auto with_dy = [&](const typename D::LoadDy& dy) {
    if constexpr (D::w_by_tma) use(dy, typename D::LoadW{p.map[K::W_MAP], v, u, column0});
    else use(dy, typename D::LoadW{p, weights});
  };
  if constexpr (D::dy_by_tma && D::linear) {
    with_dy({p.map[K::DY_MAP], first, group});
  } else if constexpr (D::dy_by_tma) {
    with_dy({p.map[K::DY_MAP], WindowStart::of<D::rows, D::columns>(image0, first, 1, v.first, u.first), u.taps});
  } else {
    const int64_t image = image0 + n0;
    const int64_t origin = D::linear ? static_cast<int64_t>(image0) * D::cells + first : image * (K::P * K::Q);
    typename D::Rows rows(At{origin, image, group, 0}, cut.count - first, v.taps, u.taps);
#pragma unroll
    for (int pass = 0; pass < D::Rows::U::passes; ++pass) {
      const int m = first + D::Rows::U::line(pass), n = m / D::cells, rest = m - n * D::cells, i = rest / D::columns;
      if (m < cut.count) rows.set(pass, n - n0, i + v.first, rest - i * D::columns + u.first);
      else rows.set_nothing(pass);
    }
    with_dy({p, rows});
  }
}

template <class K>
MOPROC_INLINE void dgrad_residue(const Params& p, typename DgradShape<K>::Store& store, int group, int first,
                                 const Residue<K>& residue, typename DgradShape<K>::Pipe& pipe) {
  using D = DgradShape<K>;
  typename D::Product product;
  product.clear();
  if constexpr (is_hopper<K>) pipe.multiply(product, residue.stages());
  else
    dgrad_operands<K>(p, store.column0, group, first, residue,
                      [&](const auto& dy, const auto& w) { main_loop<K>(product, dy, w, residue.stages()); });
  const DgradCut<K> cut(p);
  const int image0 = group * cut.images, rest = cut.count - first, a = residue.a, b = residue.b;
  constexpr bool dense = K::H % K::STRIDE == 0 && K::W % K::STRIDE == 0;
  store.template tile<dense>(p, product, group, rest < K::TILE_ROWS ? rest : K::TILE_ROWS, [&](int m) {
    const int cell = first + m, n = cell / D::cells, at = cell - n * D::cells, i = at / D::columns;
    const int h = i * K::STRIDE + a, w = (at - i * D::columns) * K::STRIDE + b;
    const int64_t row = image0 + n;
    return Place{dense || (h < K::H && w < K::W), (row * K::H + h) * K::W + w, row};
  });
}

template <class K>
MOPROC_INLINE void conv_dgrad(const Params& p) {
  using D = DgradShape<K>;
  using Y = typename K::Y;
  const DgradCut<K> cut(p);
  if constexpr (partial_values<Y> > 0)
    if (p.phase == 1) return combine_partials<Y, K::C, Path<K>::threads>(p, cut.runs, [](int64_t i) { return i; });
  const int column0 = static_cast<int>(blockIdx.x) % D::blocks_n * K::TILE_COLUMNS,
            rest = static_cast<int>(blockIdx.x) / D::blocks_n;
  const int r = rest % cut.runs, group = rest / cut.runs;
  const int end = (r + 1) * cut.run < cut.tiles ? (r + 1) * cut.run : cut.tiles;
  constexpr int residues = K::STRIDE * K::STRIDE;
  typename D::Pipe pipe;
  if constexpr (is_hopper<K>) {
    pipe.make();
    if (pipe.is_loader()) {
#pragma unroll 1
      for (int i = r * cut.run * residues; i < end * residues; ++i) {
        const Residue<K> residue(i % residues);
        dgrad_operands<K>(p, column0, group, i / residues * K::TILE_ROWS, residue,
                          [&](const auto& dy, const auto& w) { pipe.load(dy, w, residue.stages()); });
      }
      return pipe.finish_loads();
    }
  }
  typename D::Store store(shared_memory + D::Memory::state_at, column0);
  store.begin(group * cut.runs + r);
#pragma unroll 1
  for (int i = r * cut.run * residues; i < end * residues; ++i)
    dgrad_residue<K>(p, store, group, i / residues * K::TILE_ROWS, Residue<K>(i % residues), pipe);
  store.end(p);
}

}  // namespace moproc
