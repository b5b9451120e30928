// y[m, n] = A B, A stored (m, k) or (k, m), B stored (k, n) or (n, k). Operands are packed into panels, and a block of
// y is kept in registers. Tasks: (group of rows, block of rows, block of columns). With TRANSPOSE_A the terms are batch
// rows, which are summed within each group, then over groups in a balanced tree. Within a group a sum is one chain of
// fused multiply-adds per 256 terms, and the chains are added in order, so blocking, thread count and register width do
// not change the bits.
//
// Constants: TRANSPOSE_A (A is stored (k, m)), TRANSPOSE_B (B is stored (n, k)), N (= extent n). struct A, B: prologues
// over the stored matrices (row = pixel); struct Y: rows = m, C = N. Params::extent = {m, n, k}; Params::groups: groups
// of the terms if TRANSPOSE_A, otherwise of the rows of y. Scratch: matmul_scratch. Workspace: partials of groups * row
// blocks if Y has sums or moments (sums.hpp).
#pragma once

#include "cpu/matmul_pack.hpp"
#include "cpu/tile.hpp"

namespace moproc {

/// How y is divided into blocks; this depends only on the shape.
struct MatmulBlocks {
  int64_t rows, m_blocks, columns, n_blocks;
};
MOPROC_INLINE constexpr MatmulBlocks matmul_blocks(int64_t group_rows, int64_t groups, int64_t n) {
  const int64_t m_blocks = (group_rows + Gemm::BLOCK_ROWS - 1) / Gemm::BLOCK_ROWS;
  int64_t columns = 256;
  while (columns > 64 && m_blocks * groups * ((n + columns - 1) / columns) < 64) columns /= 2;
  return {(group_rows + m_blocks - 1) / m_blocks, m_blocks, columns, (n + columns - 1) / columns};
}
/// Upper bound on the block results that are kept at a time by the tree over `groups` groups of terms.
MOPROC_INLINE constexpr int matmul_depth(int64_t groups) {
  int depth = 1;
  while ((int64_t{1} << (depth - 1)) < groups) ++depth;
  return depth;
}
MOPROC_INLINE constexpr int64_t matmul_scratch(const MatmulBlocks& b, int64_t term_groups) {
  return 4 * (Gemm::TERM_STRIDE * Gemm::TERM_BLOCK + Gemm::TERM_BLOCK * b.columns +
              matmul_depth(term_groups) * b.rows * b.columns);
}

/// Computes `ROWS` rows of y by a panel of columns over `terms` terms; stores them to c if `first`, otherwise adds
/// them. The rows of a are `stride` floats apart, unless TRANSPOSE_A.
template <bool TRANSPOSE_A, int ROWS>
static __attribute__((noinline)) void matmul_micro(const float* a, int64_t stride, const float* b, float* c,
                                                   int64_t c_stride, int64_t terms, bool first) {
  constexpr int LANES = Gemm::LANES, TILE_VECTORS = Gemm::TILE_VECTORS, term = TRANSPOSE_A ? Gemm::TERM_STRIDE : 1;
  const int64_t row = TRANSPOSE_A ? 1 : stride;
  Vec acc[ROWS][TILE_VECTORS];
  for (int64_t k = 0; k < terms; ++k, a += term, b += Gemm::PANEL_COLUMNS) {
    Vec x[TILE_VECTORS];
#pragma GCC unroll 4
    for (int v = 0; v < TILE_VECTORS; ++v) x[v] = load(b + v * LANES);
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < TILE_VECTORS; ++v) acc[r][v] = fma(Vec(a[r * row]), x[v], acc[r][v]);
  }
#pragma GCC unroll 8
  for (int r = 0; r < ROWS; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < TILE_VECTORS; ++v) {
      float* at = c + r * c_stride + v * LANES;
      store(at, first ? acc[r][v] : load(at) + acc[r][v]);
    }
}

template <bool TRANSPOSE_A>
MOPROC_INLINE void matmul_rows(int rows, const float* a, int64_t stride, const float* b, float* c, int64_t c_stride,
                               int64_t terms, bool first) {
  switch (rows) {
    case 1: return matmul_micro<TRANSPOSE_A, 1>(a, stride, b, c, c_stride, terms, first);
    case 2: return matmul_micro<TRANSPOSE_A, 2>(a, stride, b, c, c_stride, terms, first);
    case 3: return matmul_micro<TRANSPOSE_A, 3>(a, stride, b, c, c_stride, terms, first);
    case 4: return matmul_micro<TRANSPOSE_A, 4>(a, stride, b, c, c_stride, terms, first);
    case 5: return matmul_micro<TRANSPOSE_A, 5>(a, stride, b, c, c_stride, terms, first);
    case 6: return matmul_micro<TRANSPOSE_A, 6>(a, stride, b, c, c_stride, terms, first);
    default: return matmul_micro<TRANSPOSE_A, Gemm::TILE_ROWS>(a, stride, b, c, c_stride, terms, first);
  }
}

/// A block of y and the memory for its packed operands.
struct MatmulBlock {
  int64_t row, rows, column, columns, stride;  // in y; stride of a row of the block in scratch
  float *a, *b;
};

/// Sums the terms [k0, k0 + terms) of `group` into `to`.
template <class K>
static void matmul_sum(const Params& p, const MatmulBlock& y, int64_t group, int64_t k0, int64_t terms, float* to) {
  using A = typename K::A;
  using B = typename K::B;
  [[maybe_unused]] const int64_t m = p.extent[0], k = p.extent[2];
  constexpr bool in_place = !K::TRANSPOSE_A && A::buffer >= 0;  // a is read where it is
  const int64_t panels = ceil_div(y.rows, Gemm::TILE_ROWS), stride = in_place ? k : Gemm::TERM_BLOCK;
  for (int64_t done = 0; done < terms; done += Gemm::TERM_BLOCK) {
    const int64_t now = smaller(Gemm::TERM_BLOCK, terms - done), at = k0 + done;
    if constexpr (K::TRANSPOSE_A) copy_block<A>(p, m, group, at, y.row, now, y.rows, y.a, Gemm::TERM_STRIDE);
    else if constexpr (!in_place) copy_block<A>(p, k, group, y.row, at, y.rows, now, y.a, Gemm::TERM_BLOCK);
    const float* a = y.a;
    if constexpr (in_place) a = in<float>(p, A::buffer) + y.row * k + at;
    if constexpr (K::TRANSPOSE_B) pack_panels_transposed<B>(p, k, at, y.column, now, y.columns, y.b);
    else pack_panels<B>(p, K::N, K::TRANSPOSE_A ? group : 0, at, y.column, now, y.columns, y.b);
    for (int64_t c = 0; c < y.columns; c += Gemm::PANEL_COLUMNS) {
      const float* b = y.b + c * Gemm::TERM_BLOCK;
      for (int64_t i = 0, r = 0; i < panels; ++i) {  // the heights of panels differ by at most one row
        const int rows = static_cast<int>((y.rows + i) / panels);
        matmul_rows<K::TRANSPOSE_A != 0>(rows, a + r * (K::TRANSPOSE_A ? 1 : stride), stride, b, to + r * y.stride + c,
                                         y.stride, now, done == 0);
        r += rows;
      }
    }
  }
}

/// Sums all terms into block 0 of `tiles`, group by group; each result is added to earlier ones as in a binary counter.
template <class K>
static void matmul_tree(const Params& p, const MatmulBlock& y, int64_t row_group, float* tiles) {
  const int64_t groups = K::TRANSPOSE_A ? p.groups : 1, terms = p.extent[2] / groups, size = y.rows * y.stride;
  int depth = 0;
  const auto join = [&] {
    --depth;
    float *a = tiles + (depth - 1) * size, *b = a + size;
    for (int64_t i = 0; i < size; i += Gemm::LANES) store(a + i, load(a + i) + load(b + i));
  };
  for (int64_t g = 0; g < groups; ++g) {
    matmul_sum<K>(p, y, K::TRANSPOSE_A ? g : row_group, g * terms, terms, tiles + depth++ * size);
    for (int64_t full = g + 1; full % 2 == 0; full /= 2) join();
  }
  while (depth > 1) join();
}

template <class K>
static void matmul(const Params& p, const Task& t) {
  using Y = typename K::Y;
  const int64_t groups = K::TRANSPOSE_A ? 1 : p.groups, group_rows = p.extent[0] / groups;
  const MatmulBlocks cut = matmul_blocks(group_rows, groups, K::N);
  if constexpr (partial_values<Y> > 0)
    if (t.phase == 1)
      return combine_partials<Y, K::N>(p, t, cut.m_blocks,
                                       [&](int64_t i) { return smaller(i * cut.rows, group_rows); });
  MatmulBlock y{};
  y.a = static_cast<float*>(t.scratch);
  y.b = y.a + Gemm::TERM_STRIDE * Gemm::TERM_BLOCK;
  y.stride = cut.columns;
  float* const tiles = y.b + Gemm::TERM_BLOCK * cut.columns;
  for (int64_t task = t.begin; task < t.end; ++task) {
    const int64_t bn = task % cut.n_blocks, bm = task / cut.n_blocks % cut.m_blocks;
    const int64_t g = task / cut.n_blocks / cut.m_blocks;
    y.row = g * group_rows + bm * cut.rows;
    y.rows = smaller(cut.rows, group_rows - bm * cut.rows);
    y.column = bn * cut.columns;
    y.columns = smaller(cut.columns, K::N - y.column);
    matmul_tree<K>(p, y, g, tiles);
    run_block<Y, K::N, 1>(p, g, y.row, y.rows, static_cast<int>(y.column), static_cast<int>(y.columns),
                          tile_partial<Y, K::N>(p, g, cut.m_blocks, bm, 0),
                          [&](int64_t i, int c, int) { return load(tiles + i * y.stride + (c - y.column)); });
  }
}

}  // namespace moproc
