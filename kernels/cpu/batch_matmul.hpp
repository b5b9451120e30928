// y[s, m, n] = sum over k of a[s, m, k] b[s, k, n] for a stack of matrices in any strides, as 4-D tensors (stored
// channels-last) and broadcast operands have them. Operands are packed into panels and multiplied by the register tile
// of matmul.hpp: one chain of fused multiply-adds per 256 terms, the chains added in order. Tasks: (matrix of the
// stack, block of rows, block of columns).
//
// Constants: M, N, TERMS; OUTER (extents of the stack's axes, at least one), A_OUTER, B_OUTER, Y_OUTER (steps along
// them); A_STEPS {m, k}, B_STEPS {k, n}, Y_STEPS {m, n}; STACK matrices in all; A_BUFFER,
// B_BUFFER, Y_BUFFER. Scratch: a block of a, the panels of a block of b, and a block of y.
#pragma once

#include "cpu/matmul.hpp"

namespace moproc {

/// Copies (rows, columns) with the steps ROW and COLUMN to `to` with row stride `stride`, in whole vectors.
template <int64_t ROW, int64_t COLUMN>
static void gather_block(const float* from, int64_t rows, int64_t columns, float* to, int64_t stride) {
  constexpr int W = Vec::width;
  for (int64_t r = 0; r < rows; ++r, from += ROW, to += stride) {
    if constexpr (COLUMN == 1) {
      int64_t c = 0;
      for (; c + W <= columns; c += W) store(to + c, load(from + c));
      if (c < columns) store(to + c, load(from + c, static_cast<int>(columns - c)));
    } else {
      for (int64_t c = 0; c < columns; ++c) to[c] = from[c * COLUMN];
    }
  }
}

/// Panels of columns of (terms, columns) with the steps TERM and COLUMN; the last panel is filled up with zeros.
template <int64_t TERM, int64_t COLUMN>
static void gather_panels(const float* from, int64_t terms, int64_t columns, float* to) {
  constexpr int64_t W = Gemm::PANEL_COLUMNS;
  for (int64_t c = 0; c < columns; c += W, from += W * COLUMN, to += Gemm::TERM_BLOCK * W) {
    const int64_t now = smaller(W, columns - c);
    if (now < W)
      for (int64_t i = 0; i < terms * W; i += Gemm::LANES) store(to + i, Vec());
    if constexpr (TERM == 1)  // along the terms, as they are stored
      for (int64_t j = 0; j < now; ++j)
        for (int64_t k = 0; k < terms; ++k) to[k * W + j] = from[k + j * COLUMN];
    else gather_block<TERM, COLUMN>(from, terms, now, to, W);
  }
}

template <class K>
static void batch_matmul(const Params& p, const Task& t) {
  constexpr int64_t axes = sizeof(K::OUTER) / sizeof(K::OUTER[0]);
  constexpr int64_t stride = K::A_STEPS[1] == 1 ? K::A_STEPS[0] : Gemm::TERM_BLOCK;  // a is read in place, or packed
  const MatmulBlocks cut = matmul_blocks(K::M, K::STACK, K::N);
  float* const a = static_cast<float*>(t.scratch);
  float* const b = a + cut.rows * Gemm::TERM_BLOCK;
  float* const y = b + Gemm::TERM_BLOCK * cut.columns;
  for (int64_t task = t.begin; task < t.end; ++task) {
    const float* from_a = in<float>(p, K::A_BUFFER);
    const float* from_b = in<float>(p, K::B_BUFFER);
    float* to = static_cast<float*>(p.buf[K::Y_BUFFER]);
    int64_t s = task / cut.n_blocks / cut.m_blocks;
    for (int64_t axis = axes - 1; axis >= 0; --axis) {
      const int64_t i = s % K::OUTER[axis];
      s /= K::OUTER[axis];
      from_a += i * K::A_OUTER[axis], from_b += i * K::B_OUTER[axis], to += i * K::Y_OUTER[axis];
    }
    const int64_t m0 = task / cut.n_blocks % cut.m_blocks * cut.rows, n0 = task % cut.n_blocks * cut.columns;
    const int64_t rows = smaller(cut.rows, K::M - m0), columns = smaller(cut.columns, K::N - n0);
    const int64_t panels = ceil_div(rows, Gemm::TILE_ROWS);
    for (int64_t k0 = 0; k0 < K::TERMS; k0 += Gemm::TERM_BLOCK) {
      const int64_t terms = smaller(Gemm::TERM_BLOCK, K::TERMS - k0);
      const float* from = from_a + m0 * K::A_STEPS[0] + k0 * K::A_STEPS[1];
      if constexpr (K::A_STEPS[1] != 1) {
        gather_block<K::A_STEPS[0], K::A_STEPS[1]>(from, rows, terms, a, Gemm::TERM_BLOCK);
        from = a;
      }
      gather_panels<K::B_STEPS[0], K::B_STEPS[1]>(from_b + k0 * K::B_STEPS[0] + n0 * K::B_STEPS[1], terms, columns, b);
      for (int64_t c = 0; c < columns; c += Gemm::PANEL_COLUMNS) {
        for (int64_t i = 0, r = 0; i < panels; ++i) {  // the heights of panels differ by at most one row
          const int height = static_cast<int>((rows + i) / panels);
          matmul_rows<false>(height, from + r * stride, stride, b + c * Gemm::TERM_BLOCK, y + r * cut.columns + c,
                             cut.columns, terms, k0 == 0);
          r += height;
        }
      }
    }
    to += m0 * K::Y_STEPS[0] + n0 * K::Y_STEPS[1];
    for (int64_t r = 0; r < rows; ++r, to += K::Y_STEPS[0]) {
      const float* const row = y + r * cut.columns;
      if constexpr (K::Y_STEPS[1] == 1) {
        int64_t c = 0;
        for (; c + Vec::width <= columns; c += Vec::width) store(to + c, load(row + c));
        if (c < columns) store(to + c, load(row + c), static_cast<int>(columns - c));
      } else {
        for (int64_t c = 0; c < columns; ++c) to[c * K::Y_STEPS[1]] = row[c];
      }
    }
  }
}

}  // namespace moproc
