// y[idx[i]] = x[i], the inverse of take_rows; whole rows are copied as bytes. idx is a permutation of the rows; a row
// whose index is outside y is skipped, so nothing is written outside y. Tasks: (row of x, piece of 64 KiB). Memory
// bound.
//
// Constants: ROW_BYTES, X_BUFFER, IDX_BUFFER (i64[n]), Y_BUFFER. Params::rows = n. No scratch, no workspace.
#pragma once

#include "cpu/take_rows.hpp"

namespace moproc {

template <class K>
static void put_rows(const Params& p, const Task& t) {
  const int64_t* const idx = static_cast<const int64_t*>(p.buf[K::IDX_BUFFER]);
  for_pieces<K::ROW_BYTES>(t, [&](int64_t row, int64_t at, int64_t bytes) {
    const char* const x = static_cast<const char*>(p.buf[K::X_BUFFER]) + row * K::ROW_BYTES + at;
    if (idx[row] < 0 || idx[row] >= p.rows) return;
    __builtin_memcpy(static_cast<char*>(p.buf[K::Y_BUFFER]) + idx[row] * K::ROW_BYTES + at, x,
                     static_cast<size_t>(bytes));
  });
}

}  // namespace moproc
