// dx[n,h,w,c] = sum over o and the taps (r,s) with h = p*STRIDE+r-PAD, w = q*STRIDE+s-PAD of dy[n,p,q,o] * w[o,r,s,c], a
// matrix product of M = pixels of dx, N = C, K = (tap, o). The weights are those of conv_fprop, as they are: their c runs
// along the columns of the product, and ldmatrix transposes. With a stride, the pixels of dx of one residue
// (h mod STRIDE, w mod STRIDE) have the same taps and make tiles of their own: nothing is multiplied by an inserted zero,
// and pixels without taps get the epilogue of 0. A tile is BM cells of STRIDE x STRIDE pixels, its residues one after
// another, so that dy is read from memory once.
//
// K: as conv_fprop, with Dy for X; C is the number of channels of dx. Y may take sums, not moments.
// Params::extent[0]: tiles a run. Grid: groups * ceil(tiles / run) * ceil(C / BN), tiles = ceil(cells of a group / BM),
// cells of an image = ceil(H / STRIDE) * ceil(W / STRIDE). Phase 1 (if Y has sums) combines the runs' partials.
#pragma once

#include "cuda/conv_source.cuh"
#include "cuda/gemm_epilogue.cuh"

namespace moproc {

template <class K> struct DgradShape {
  using Product = BlockProduct<K, true, false>;
  using Store = Epilogue<K, typename K::Y, K::C>;
  static constexpr int ST = K::STRIDE, taps_h = (K::R + ST - 1) / ST, taps_w = (K::S + ST - 1) / ST;
  static constexpr bool linear = K::R == 1 && K::S == 1 && ST == 1 && K::PAD == 0;
  using Rows = WindowRows<typename Product::A, K::THREADS, K::P, K::Q, K::OUT, taps_h, taps_w, linear>;
  using Weights = WeightColumns<typename Product::B, K::THREADS, K>;
  using LoadDy = Loader<typename K::Operand, typename K::Dy, typename Product::A, Rows, K::THREADS, (K::R > 1)>;
  using LoadW = Loader<typename K::Operand, Plain<K::W_BUFFER>, typename Product::B, Weights, K::THREADS>;
  static constexpr int rows = (K::H + ST - 1) / ST, columns = (K::W + ST - 1) / ST, cells = rows * columns;
  static constexpr int blocks_n = (K::C + K::BN - 1) / K::BN;
  static constexpr int work_bytes = static_cast<int>(larger(K::STAGES * Product::stage_bytes, Store::scratch_bytes));
  static constexpr int shared_bytes = work_bytes + Store::state_bytes;
  static_assert(brings_shared<K>(shared_bytes), "the launch brings other shared memory than the kernel carves");
  static_assert(K::C % 8 == 0 && K::OUT % 8 == 0, "channels come in units of 8");
  static_assert(!has_moments<typename K::Y>, "a gradient has no moments");
};

/// One residue (a, b) of the tile of cells first, first + 1, ... of the group's `count`.
template <class K, class Store>
MOPROC_INLINE void dgrad_residue(const Params& p, Store& store, int group, int image0, int first, int count, int a,
                                 int b) {
  using D = DgradShape<K>;
  const TapRun v = tap_run(a, K::STRIDE, K::PAD, K::R), u = tap_run(b, K::STRIDE, K::PAD, K::S);
  const int n0 = first / D::cells;
  const int64_t image = image0 + n0;
  const int64_t origin = D::linear ? static_cast<int64_t>(image0) * D::cells + first : image * (K::P * K::Q);
  typename D::Rows rows(At{origin, image, group, 0}, count - first, v.taps, u.taps);
#pragma unroll
  for (int pass = 0; pass < D::Rows::U::passes; ++pass) {
    const int m = first + D::Rows::U::line(pass), n = m / D::cells, rest = m - n * D::cells, i = rest / D::columns;
    if (m < count) rows.set(pass, n - n0, i + v.first, rest - i * D::columns + u.first);
    else rows.set_nothing(pass);
  }
  typename D::Weights weights{v, u, store.column0, 0, 0};
  typename D::Product product;
  product.clear();
  const int terms = v.taps * u.taps * K::OUT;
  main_loop<K>(product, typename D::LoadDy{p, rows}, typename D::LoadW{p, weights}, (terms + K::BK - 1) / K::BK);
  constexpr bool dense = K::H % K::STRIDE == 0 && K::W % K::STRIDE == 0;
  store.template tile<dense>(p, product, group, count - first < K::BM ? count - first : K::BM, [&](int m) {
    const int cell = first + m, n = cell / D::cells, rest = cell - n * D::cells, i = rest / D::columns;
    const int h = i * K::STRIDE + a, w = (rest - i * D::columns) * K::STRIDE + b;
    const int64_t row = image0 + n;
    return Place{dense || (h < K::H && w < K::W), (row * K::H + h) * K::W + w, row};
  });
}

template <class K> MOPROC_INLINE void conv_dgrad(const Params& p) {
  using D = DgradShape<K>;
  using Y = typename K::Y;
  const int images = static_cast<int>(p.rows) / static_cast<int>(p.groups), count = images * D::cells;
  const int tiles = (count + K::BM - 1) / K::BM, run = static_cast<int>(p.extent[0]), runs = (tiles + run - 1) / run;
  if constexpr (partial_values<Y> > 0)
    if (p.phase == 1) return combine_partials<Y, K::C, K::THREADS>(p, runs, [](int64_t i) { return i; });
  const int block_n = static_cast<int>(blockIdx.x) % D::blocks_n, rest = static_cast<int>(blockIdx.x) / D::blocks_n;
  const int r = rest % runs, group = rest / runs;
  typename D::Store store(shared_memory + D::work_bytes, block_n * K::BN);
  store.begin(group * runs + r);
  const int end = (r + 1) * run < tiles ? (r + 1) * run : tiles;
  constexpr int residues = K::STRIDE * K::STRIDE;
#pragma unroll 1
  for (int i = r * run * residues; i < end * residues; ++i) {
    const int residue = i % residues;
    dgrad_residue<K>(p, store, group, group * images, i / residues * K::BM, count, residue / K::STRIDE,
                     residue % K::STRIDE);
  }
  store.end(p);
}

}  // namespace moproc
