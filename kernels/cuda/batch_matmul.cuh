// y[s, m, n] = sum over k of a[s, m, k] b[s, k, n] for a stack of matrices in f32, by three tf32 products. A block
// computes a TILE_ROWS x TILE_COLUMNS part of one matrix of the stack. The matrices of a tensor lie one after the
// other; an operand with one matrix serves the whole stack.
//
// Constants: M, N, TERMS (extents m, n, k), STACK (matrices of y), A_MATRIX, B_MATRIX (1: one for each of y; 0: one for
// all); A_BUFFER, B_BUFFER, Y_BUFFER; Operand; TILE_ROWS, TILE_COLUMNS (results of a block), STAGE_TERMS, STAGES (terms
// of a stage, and stages in shared memory), THREADS. No workspace.
#pragma once

#include "cuda/matmul.cuh"

namespace moproc {

template <class K>
struct BatchMatmulShape {
  struct A {
    static constexpr int buffer = K::A_BUFFER;
  };
  struct B {
    static constexpr int buffer = K::B_BUFFER;
  };
  using Product = BlockProduct<K, true, false>;
  using LoadA = MatrixLoader<A, typename Product::A, K::THREADS, true>;
  using LoadB = MatrixLoader<B, typename Product::B, K::THREADS, false>;
  static constexpr int blocks_m = (K::M + K::TILE_ROWS - 1) / K::TILE_ROWS;
  static constexpr int blocks_n = (K::N + K::TILE_COLUMNS - 1) / K::TILE_COLUMNS;
  static_assert(brings_shared<K>(K::STAGES* Product::stage_bytes),
                "the launch brings other shared memory than the kernel carves");
};

template <class K>
MOPROC_INLINE void batch_matmul(const Params& p) {
  using M = BatchMatmulShape<K>;
  const int block = static_cast<int>(blockIdx.x), stack = block / (M::blocks_m * M::blocks_n);
  const int row = block / M::blocks_n % M::blocks_m * K::TILE_ROWS, column = block % M::blocks_n * K::TILE_COLUMNS;
  const int first_a = stack * K::A_MATRIX * K::M, first_b = stack * K::B_MATRIX * K::TERMS;
  const int rows = static_cast<int>(smaller(K::TILE_ROWS, K::M - row));
  const int column_end = static_cast<int>(smaller(K::N, column + K::TILE_COLUMNS));
  const typename M::LoadA a{p, K::TERMS, first_a + row, first_a + row + rows, 0, K::TERMS, 0};
  const typename M::LoadB b{p, K::N, first_b, first_b + K::TERMS, column, column_end, 0};
  typename M::Product product;
  product.clear();
  main_loop<K>(product, a, b, (K::TERMS + K::STAGE_TERMS - 1) / K::STAGE_TERMS);
  float* const to = static_cast<float*>(p.buf[K::Y_BUFFER]) + (static_cast<int64_t>(stack) * K::M + row) * K::N;
  product.each_pair([&](int m, int n, float x, float y) {
    if (m >= rows) return;
    float* const at = to + static_cast<int64_t>(m) * K::N + column + n;
    if (column + n < column_end) at[0] = x;
    if (column + n + 1 < column_end) at[1] = y;
  });
}

}  // namespace moproc
