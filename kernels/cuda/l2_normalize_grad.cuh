// dx = (dy - y (y . dy)) / norm with y = x / norm and norm = sqrt(sum x^2), if norm >= EPS; dx = dy / EPS in rows with
// a smaller norm. Mapping: rows.cuh. Memory bound.
//
// Grid: row_tasks. Constants: COLUMNS, EPS (a float), THREADS (256), X_BUFFER, DY_BUFFER, DX_BUFFER. Params::rows = n.
#pragma once

#include "cuda/l2_normalize.cuh"

namespace moproc {

template <class K>
__device__ void l2_normalize_grad(const Params& p) {
  using R = Row<K::COLUMNS>;
  static_assert(K::EPS > 0, "l2_normalize_grad: EPS must be a positive float");
  static_assert(K::THREADS == row_block_threads, "l2_normalize_grad: blocks of 256 threads");
  const int64_t r = R::index();
  if (r >= p.rows) return;
  const float* const x = in<float>(p, K::X_BUFFER) + r * K::COLUMNS;
  const float* const dy = in<float>(p, K::DY_BUFFER) + r * K::COLUMNS;
  float* const dx = out<float>(p, K::DX_BUFFER) + r * K::COLUMNS;
  const float norm = row_norm<K::COLUMNS>(x), eps = static_cast<float>(K::EPS);
  const bool shorter = norm < eps;
  const Vec by(shorter ? eps : norm);
  const float dot = R::sum([&](int base) { return R::load(x, base, 0.0f) / by * R::load(dy, base, 0.0f); });
  const Vec along(shorter ? 0.0f : dot);
  R::rounds(
      [&](int base) { R::store(dx, base, (R::load(dy, base, 0.0f) - R::load(x, base, 0.0f) / by * along) / by); });
}

}  // namespace moproc
