// y[n, :] = x[n, :] / max(sqrt(sum x^2), EPS). Tasks: blocks of rows. Memory bound.
//
// Constants: COLUMNS, EPS (a float), X_BUFFER, Y_BUFFER. Params::rows = n. No scratch, no workspace. y may be x.
#pragma once

#include "cpu/softmax_rows.hpp"

namespace moproc {

/// Euclidean norm of x (n).
MOPROC_INLINE float row_norm(const float* x, int64_t n) {
  return __builtin_sqrtf(sum_over(n, [&](int64_t c, int lanes) {
    const Vec v = load(x + c, lanes);
    return v * v;
  }));
}

/// y (n) = x / max(norm of x, eps); y may be x. A NaN in x makes the row NaN.
MOPROC_INLINE void normalize_row(const float* x, float* y, int64_t n, float eps) {
  const float norm = row_norm(x, n);
  const Vec by(norm < eps ? eps : norm);
  for_vectors(n, [&](int64_t c, int lanes) { store(y + c, load(x + c, lanes) / by, lanes); });
}

template <class K>
static void l2_normalize(const Params& p, const Task& t) {
  static_assert(K::EPS > 0, "l2_normalize: EPS must be a positive float");
  for_rows(t, p.rows, K::COLUMNS, [&](int64_t r) {
    normalize_row(in<float>(p, K::X_BUFFER) + r * K::COLUMNS, static_cast<float*>(p.buf[K::Y_BUFFER]) + r * K::COLUMNS,
                  K::COLUMNS, static_cast<float>(K::EPS));
  });
}

}  // namespace moproc
