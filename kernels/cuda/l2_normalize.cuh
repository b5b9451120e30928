// y[n, :] = x[n, :] / max(sqrt(sum x^2), EPS). A NaN in x makes the row NaN. Mapping: rows.cuh. Memory bound.
//
// Grid: row_tasks. Constants: COLUMNS, EPS (a float), THREADS (256), X_BUFFER, Y_BUFFER. Params::rows = n. y may be x.
#pragma once

#include "cuda/rows.cuh"

namespace moproc {

/// Euclidean norm of a row.
template <int COLUMNS>
MOPROC_INLINE float row_norm(const float* x) {
  using R = Row<COLUMNS>;
  return __fsqrt_rn(R::sum([&](int base) {
    const Vec v = R::load(x, base, 0.0f);
    return v * v;
  }));
}

template <class K>
__device__ void l2_normalize(const Params& p) {
  using R = Row<K::COLUMNS>;
  static_assert(K::EPS > 0, "l2_normalize: EPS must be a positive float");
  static_assert(K::THREADS == row_block_threads, "l2_normalize: blocks of 256 threads");
  const int64_t r = R::index();
  if (r >= p.rows) return;
  const float* const x = in<float>(p, K::X_BUFFER) + r * K::COLUMNS;
  float* const y = out<float>(p, K::Y_BUFFER) + r * K::COLUMNS;
  const float norm = row_norm<K::COLUMNS>(x), eps = static_cast<float>(K::EPS);
  const Vec by(norm < eps ? eps : norm);
  R::rounds([&](int base) { R::store(y, base, R::load(x, base, 0.0f) / by); });
}

}  // namespace moproc
