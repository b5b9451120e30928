// Packs matmul operands into panels and applies their prologues, so that each element of A and B is read and
// transformed once per block. Layouts: A as it is stored, (row, k) or (k, row); B (panel of columns, k, column in
// panel).
#pragma once

#include "cpu/lanes.hpp"
#include "cpu/leaf.hpp"

namespace moproc {

struct Gemm {
  static constexpr int LANES = Vec::width;
  static constexpr int TILE_ROWS = 6;                                // rows of a register tile
  static constexpr int TILE_VECTORS = Vec::registers == 32 ? 4 : 2;  // vectors of columns of a register tile
  static constexpr int PANEL_COLUMNS = TILE_VECTORS * LANES;         // columns of a panel of B
  static constexpr int TERM_BLOCK = 256;   // terms summed in registers; these sums are added in order of k
  static constexpr int BLOCK_ROWS = 168;   // rows of a block of y, at most
  static constexpr int TERM_STRIDE = 176;  // floats from one term of a packed A (k, row) to the next: whole vectors
};

/// Elements (row, c .. c + lanes) of an operand stored as a matrix with `columns` columns.
template <class X>
MOPROC_INLINE Vec matrix_load(const Params& p, int64_t columns, int64_t row, int64_t group, int64_t c, int lanes) {
  if constexpr (X::buffer >= 0) return load(in<float>(p, X::buffer) + row * columns + c, lanes);
  else return X::load(p, At{row, row, group, static_cast<int>(c)}, lanes);
}

/// Copies (rows, columns) of a stored matrix from (r0, c0) to `to` with row stride `stride`, in whole vectors.
template <class X>
MOPROC_INLINE void copy_block(const Params& p, int64_t width, int64_t group, int64_t r0, int64_t c0, int64_t rows,
                              int64_t columns, float* to, int64_t stride) {
  for (int64_t r = 0; r < rows; ++r) {
    float* row = to + r * stride;
    int64_t c = 0;
    for (; c + Gemm::LANES <= columns; c += Gemm::LANES)
      store(row + c, matrix_load<X>(p, width, r0 + r, group, c0 + c, Gemm::LANES));
    if (c < columns) store(row + c, matrix_load<X>(p, width, r0 + r, group, c0 + c, static_cast<int>(columns - c)));
  }
}

/// B stored (k, n): panels of columns [c0, c0 + columns) and terms [k0, k0 + terms), read row by row.
template <class X>
MOPROC_INLINE void pack_panels(const Params& p, int64_t n, int64_t group, int64_t k0, int64_t c0, int64_t terms,
                               int64_t columns, float* to) {
  constexpr int64_t panel = Gemm::TERM_BLOCK * Gemm::PANEL_COLUMNS;
  for (int64_t k = 0; k < terms; ++k, to += Gemm::PANEL_COLUMNS) {
    const auto at = [&](int64_t c) { return to + c / Gemm::PANEL_COLUMNS * panel + c % Gemm::PANEL_COLUMNS; };
    int64_t c = 0;
    for (; c + Gemm::LANES <= columns; c += Gemm::LANES)
      store(at(c), matrix_load<X>(p, n, k0 + k, group, c0 + c, Gemm::LANES));
    if (c < columns) store(at(c), matrix_load<X>(p, n, k0 + k, group, c0 + c, static_cast<int>(columns - c)));
  }
}

/// B stored (n, k): the same panels, by square transposes.
template <class X>
MOPROC_INLINE void pack_panels_transposed(const Params& p, int64_t k, int64_t k0, int64_t c0, int64_t terms,
                                          int64_t columns, float* to) {
  constexpr int LANES = Gemm::LANES;
  for (int64_t c = 0; c < columns; c += LANES) {
    float* column = to + c / Gemm::PANEL_COLUMNS * (Gemm::TERM_BLOCK * Gemm::PANEL_COLUMNS) + c % Gemm::PANEL_COLUMNS;
    const int filled = lanes_of(columns - c);
    for (int64_t i = 0; i < terms; i += LANES) {
      const int lanes = lanes_of(terms - i);
      Vec x[LANES];
      if (filled == LANES && lanes == LANES) {
#pragma GCC unroll 16
        for (int j = 0; j < LANES; ++j) x[j] = matrix_load<X>(p, k, c0 + c + j, 0, k0 + i, LANES);
      } else {
        for (int j = 0; j < filled; ++j) x[j] = matrix_load<X>(p, k, c0 + c + j, 0, k0 + i, lanes);
      }
      transpose(x);
#pragma GCC unroll 16
      for (int j = 0; j < LANES; ++j) store(column + (i + j) * Gemm::PANEL_COLUMNS, x[j]);
    }
  }
}

}  // namespace moproc
