// y[idx[i]] = x[i], the inverse of take_rows; whole rows are copied as bytes. idx is a permutation of the rows; a row
// whose index is outside y is skipped, so nothing is written outside y. Mapping: as in take_rows. Memory bound.
//
// Grid: rows * row_pieces(ROW_BYTES). Constants: ROW_BYTES, THREADS (256), X_BUFFER, IDX_BUFFER (i64[n]), Y_BUFFER.
// Params::rows = n.
#pragma once

#include "cuda/take_rows.cuh"

namespace moproc {

template <class K>
__device__ void put_rows(const Params& p) {
  const int64_t row = blockIdx.x / row_pieces(K::ROW_BYTES), to = in<int64_t>(p, K::IDX_BUFFER)[row];
  if (to < 0 || to >= p.rows) return;
  move_piece<K::ROW_BYTES, K::THREADS>(p.buf[K::X_BUFFER], row, p.buf[K::Y_BUFFER], to, true);
}

}  // namespace moproc
