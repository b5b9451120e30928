// y[n, :] = exp(x[n, :] - max) / sum, row by row. The exponentials of a row are computed once into y, then divided.
// Tasks: blocks of rows. Bound by exp.
//
// Constants: COLUMNS, X_BUFFER, Y_BUFFER. Params::rows = n. No scratch, no workspace. y may be x.
#pragma once

#include "cpu/softmax_rows.hpp"

namespace moproc {

template <class K>
static void softmax(const Params& p, const Task& t) {
  for_rows(t, p.rows, K::COLUMNS, [&](int64_t r) {
    float* const y = static_cast<float*>(p.buf[K::Y_BUFFER]) + r * K::COLUMNS;
    const Vec sum(row_exp(in<float>(p, K::X_BUFFER) + r * K::COLUMNS, y, K::COLUMNS));
    for_vectors(K::COLUMNS, [&](int64_t c, int lanes) { store(y + c, load(y + c, lanes) / sum, lanes); });
  });
}

}  // namespace moproc
