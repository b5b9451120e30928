// y[i] = x[idx[i]]; whole rows of any type are copied as bytes. idx is a permutation of the rows. If an index is
// outside x, the row is filled with bytes 0xff (NaN, -1) and nothing is read. Tasks: (row of y, piece of 64 KiB).
// Memory bound.
//
// Constants: ROW_BYTES, X_BUFFER, IDX_BUFFER (i64[n]), Y_BUFFER. Params::rows = n. No scratch, no workspace.
#pragma once

#include "common/params.h"
#include "cpu/lanes.hpp"

namespace moproc {

constexpr int64_t row_piece = 65536;  // bytes

/// Calls f(row, byte offset, bytes) for the pieces of rows of ROW_BYTES bytes that belong to the tasks of `t`.
template <int64_t ROW_BYTES, class F>
MOPROC_INLINE void for_pieces(const Task& t, F f) {
  constexpr int64_t pieces = (ROW_BYTES + row_piece - 1) / row_piece;
  for (int64_t task = t.begin; task < t.end; ++task) {
    const int64_t at = task % pieces * row_piece;
    f(task / pieces, at, smaller(row_piece, ROW_BYTES - at));
  }
}

template <class K>
static void take_rows(const Params& p, const Task& t) {
  const int64_t* const idx = static_cast<const int64_t*>(p.buf[K::IDX_BUFFER]);
  for_pieces<K::ROW_BYTES>(t, [&](int64_t row, int64_t at, int64_t bytes) {
    char* const y = static_cast<char*>(p.buf[K::Y_BUFFER]) + row * K::ROW_BYTES + at;
    const int64_t from = idx[row];
    if (from < 0 || from >= p.rows) __builtin_memset(y, 0xff, static_cast<size_t>(bytes));
    else
      __builtin_memcpy(y, static_cast<const char*>(p.buf[K::X_BUFFER]) + from * K::ROW_BYTES + at,
                       static_cast<size_t>(bytes));
  });
}

}  // namespace moproc
