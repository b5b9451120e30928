// y[m, n] = A B in f32, A stored (m, k) or (k, m), B stored (k, n) or (n, k), by three tf32 products. A block computes
// a TILE_ROWS x TILE_COLUMNS part of y from the terms of one part. With TRANSPOSE_A the terms are batch rows, and each
// group of them is a part; if a sum is long and there are few results, it is also cut into splits. Parts are stored in
// the workspace and added by the next phase: splits of a group in order, groups in a balanced tree. Bound by latency,
// because these matrices are small compared with the convolutions.
//
// Constants: TRANSPOSE_A (A is stored (k, m)), TRANSPOSE_B (B is stored (n, k)), N (= extent n); Operand; TILE_ROWS,
// TILE_COLUMNS (results of a block), STAGE_TERMS, STAGES (terms of a stage, and stages in shared memory), THREADS.
// struct A, B: prologues over the stored matrices (row = pixel); struct Y: rows = m, C = N. Params::extent = {m, n, k,
// splits}; Params::groups: groups of the terms if TRANSPOSE_A, otherwise of the rows of y.
//
// parts = (TRANSPOSE_A ? groups : 1) * splits, row groups = TRANSPOSE_A ? 1 : groups, tiles of y = row groups *
// ceil(m / row groups / TILE_ROWS) * ceil(N / TILE_COLUMNS). Phases if parts == 1: products and epilogue (tiles),
// combine. Otherwise: products (parts * tiles), sums and epilogue (tiles), combine. There is a combine phase only if Y
// has sums or moments. Workspace: partials of Y (row groups * row blocks), then, if parts > 1, parts * m * padded_row
// f32.
#pragma once

#include "cuda/gemm_copy.cuh"
#include "cuda/gemm_epilogue.cuh"

namespace moproc {

/// Moves a part of a stored matrix: lines are its rows first, first + 1, ..., and units run along a row. K_MAJOR: rows
/// lie across k, and the next stage is STAGE_TERMS columns further; otherwise it is STAGE_TERMS rows further.
/// `row_end`, `column_end`: ends of the part that belongs to the product; elements beyond them are zero.
template <class X, class Tile, int THREADS, bool K_MAJOR>
struct MatrixLoader {
  using U = Units<Tile, THREADS>;
  static constexpr bool plain = X::buffer >= 0;
  static constexpr int held_units = plain ? 0 : U::passes;
  struct Held {
    uint4 unit[plain ? 1 : U::passes][2];
  };
  const Params& p;
  int64_t stride;  // of a row
  int row, row_end, column, column_end, group;

  MOPROC_INLINE void fetch(int k, int tile, Held& held) const {
    const int line0 = row + (K_MAJOR ? 0 : k * Tile::lines),
              c = column + (K_MAJOR ? k * Tile::width : 0) + U::unit() * 8;
    const int lanes = column_end - c < 8 ? column_end - c : 8;
#pragma unroll
    for (int pass = 0; pass < U::passes; ++pass) {
      if (!U::inside(pass)) continue;
      const int line = line0 + U::line(pass);
      const bool valid = line < row_end && lanes > 0;
      if constexpr (plain) {
        copy(tile, pass, in<float>(p, X::buffer) + line * stride + c, valid ? lanes : 0);
      } else {
        const int safe = valid ? line : 0;
        Vec v;
        if (valid) v = X::load(p, At{safe, safe, group, c}, lanes);
#pragma unroll
        for (int i = 0; i < 8; ++i)
          if (i >= lanes) v.x[i] = 0.0f;
        pack_unit<Tf32>(held.unit[pass], v);
      }
    }
  }
  MOPROC_INLINE void place(int tile, const Held& held) const {
    if constexpr (!plain) {
#pragma unroll
      for (int pass = 0; pass < U::passes; ++pass) {
        if (!U::inside(pass)) continue;
#pragma unroll
        for (int i = 0; i < 2; ++i)
          *reinterpret_cast<uint4*>(shared_memory + tile + U::at(pass, 2, i)) = held.unit[pass][i];
      }
    }
  }

 private:
  /// Copies the unit's first `lanes` elements and zeros after them; one by one if rows are not aligned.
  MOPROC_INLINE void copy(int tile, int pass, const float* from, int lanes) const {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const uint32_t to = shared_address(tile + U::at(pass, 2, i));
      const int here = lanes - 4 * i < 0 ? 0 : lanes - 4 * i < 4 ? lanes - 4 * i : 4;
      if (stride % 4 == 0) {
        cp_async16(to, from + 4 * i, here * 4);
      } else {
#pragma unroll
        for (int e = 0; e < 4; ++e) cp_async4(to + 4 * e, from + 4 * i + e, e < here ? 4 : 0);
      }
    }
  }
};

template <class K>
struct MatmulShape {
  static_assert(K::Operand::bytes == 4, "matrices are stored in f32");
  using Product = BlockProduct<K, !K::TRANSPOSE_A, K::TRANSPOSE_B != 0>;
  using Store = Epilogue<K, typename K::Y, K::N>;
  using LoadA = MatrixLoader<typename K::A, typename Product::A, K::THREADS, !K::TRANSPOSE_A>;
  using LoadB = MatrixLoader<typename K::B, typename Product::B, K::THREADS, K::TRANSPOSE_B != 0>;
  static constexpr int blocks_n = (K::N + K::TILE_COLUMNS - 1) / K::TILE_COLUMNS, padded_row = (K::N + 7) / 8 * 8;
  static constexpr int work_bytes = static_cast<int>(larger(K::STAGES * Product::stage_bytes, Store::scratch_bytes));
  static constexpr int shared_bytes = work_bytes + Store::state_bytes;
  static_assert(brings_shared<K>(shared_bytes), "the launch brings other shared memory than the kernel carves");
};

/// How y and its terms are divided, and the tile of this block.
template <class K>
struct MatmulCut {
  int m, k, splits, row_groups, term_groups, group_rows, blocks_m, tile, part;
  int group, block_m, row, rows, column;  // of the tile: row group, its first row of y, how many, first column

  MOPROC_INLINE explicit MatmulCut(const Params& p)
      : m(static_cast<int>(p.extent[0])),
        k(static_cast<int>(p.extent[2])),
        splits(static_cast<int>(p.extent[3])),
        row_groups(K::TRANSPOSE_A ? 1 : static_cast<int>(p.groups)),
        term_groups(K::TRANSPOSE_A ? static_cast<int>(p.groups) : 1),
        group_rows(m / row_groups),
        blocks_m((group_rows + K::TILE_ROWS - 1) / K::TILE_ROWS) {
    const int tiles = row_groups * blocks_m * MatmulShape<K>::blocks_n, block = static_cast<int>(blockIdx.x);
    tile = block % tiles;
    part = block / tiles;
    const int rest = tile / MatmulShape<K>::blocks_n;
    column = tile % MatmulShape<K>::blocks_n * K::TILE_COLUMNS;
    group = rest / blocks_m;
    block_m = rest % blocks_m;
    row = group * group_rows + block_m * K::TILE_ROWS;
    rows = static_cast<int>(smaller(K::TILE_ROWS, (group + 1) * group_rows - row));
  }
  MOPROC_INLINE int parts() const { return splits * term_groups; }
  /// Address in the workspace of the stored rows of part `part_of`.
  MOPROC_INLINE float* waiting(const Params& p, int part_of) const {
    constexpr int64_t partials = partial_values<typename K::Y> * padded_channels(K::N);
    return static_cast<float*>(p.workspace) + row_groups * blocks_m * partials +
           static_cast<int64_t>(part_of) * m * MatmulShape<K>::padded_row;
  }
};

/// Computes the product of the block's part.
template <class K>
MOPROC_INLINE void matmul_product(const Params& p, const MatmulCut<K>& cut, typename MatmulShape<K>::Product& product) {
  using M = MatmulShape<K>;
  const int terms = cut.k / cut.term_groups, chunks = (terms + K::STAGE_TERMS - 1) / K::STAGE_TERMS,
            split = cut.part % cut.splits;
  const int g = cut.part / cut.splits, first = chunks * split / cut.splits, last = chunks * (split + 1) / cut.splits;
  const int begin = g * terms + first * K::STAGE_TERMS;
  const int end = static_cast<int>(smaller(g * terms + last * K::STAGE_TERMS, (g + 1) * terms));
  const int row_end = cut.row + cut.rows, column_end = static_cast<int>(smaller(K::N, cut.column + K::TILE_COLUMNS));
  const int group = K::TRANSPOSE_A ? g : cut.group;
  const typename M::LoadA a = K::TRANSPOSE_A ? typename M::LoadA{p, cut.m, begin, end, cut.row, row_end, group}
                                             : typename M::LoadA{p, cut.k, cut.row, row_end, begin, end, group};
  const int group_b = K::TRANSPOSE_A ? g : 0;
  const typename M::LoadB b = K::TRANSPOSE_B ? typename M::LoadB{p, cut.k, cut.column, column_end, begin, end, group_b}
                                             : typename M::LoadB{p, K::N, begin, end, cut.column, column_end, group_b};
  product.clear();
  main_loop<K>(product, a, b, last - first);
}

/// The sum over all parts of 8 results from column c of row `row` of y.
template <class K>
MOPROC_INLINE Vec matmul_sum(const Params& p, const MatmulCut<K>& cut, int row, int c) {
  const int64_t at = static_cast<int64_t>(row) * MatmulShape<K>::padded_row + c;
  const auto group_sum = [&](int g) {
    Vec sum = load(cut.waiting(p, g * cut.splits) + at);
#pragma unroll 4
    for (int s = 1; s < cut.splits; ++s) sum = sum + load(cut.waiting(p, g * cut.splits + s) + at);
    return sum;
  };
  if (cut.term_groups == 1) return group_sum(0);
  for (int g = 0; g < cut.term_groups; ++g) store(cut.waiting(p, g * cut.splits) + at, group_sum(g));
  for (int step = 1; step < cut.term_groups; step *= 2)
    for (int g = 0; g + step < cut.term_groups; g += 2 * step) {
      float* const to = cut.waiting(p, g * cut.splits) + at;
      store(to, load(to) + load(cut.waiting(p, (g + step) * cut.splits) + at));
    }
  return load(cut.waiting(p, 0) + at);
}

template <class K>
MOPROC_INLINE void matmul(const Params& p) {
  using M = MatmulShape<K>;
  using Y = typename K::Y;
  const MatmulCut<K> cut(p);
  const bool whole = cut.parts() == 1;
  if constexpr (partial_values<Y> > 0)
    if (p.phase == (whole ? 1 : 2))
      return combine_partials<Y, K::N, K::THREADS>(
          p, cut.blocks_m, [&](int64_t i) { return smaller(i * K::TILE_ROWS, cut.group_rows); });
  typename M::Store result(shared_memory + M::work_bytes, cut.column);
  const auto place = [&](int m) { return Place{true, cut.row + m, cut.row + m}; };
  if (p.phase == 1) {
    result.begin(cut.group * cut.blocks_m + cut.block_m);
    result.tile_of(p, [&](int m, int c) { return matmul_sum<K>(p, cut, cut.row + m, c); }, cut.group, cut.rows, place);
    return result.end(p);
  }
  typename M::Product product;
  if (whole) {
    result.begin(cut.group * cut.blocks_m + cut.block_m);
    matmul_product<K>(p, cut, product);
    result.template tile<true>(p, product, cut.group, cut.rows, place);
    return result.end(p);
  }
  matmul_product<K>(p, cut, product);
  float* const to = cut.waiting(p, cut.part);
  product.each_pair([&](int row, int column, float x, float y) {
    if (row < cut.rows && cut.column + column < M::padded_row)
      *reinterpret_cast<float2*>(to + static_cast<int64_t>(cut.row + row) * M::padded_row + cut.column + column) =
          make_float2(x, y);
  });
}

}  // namespace moproc
