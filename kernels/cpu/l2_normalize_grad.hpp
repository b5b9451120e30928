// dx = (dy - y (y . dy)) / norm with y = x / norm and norm = sqrt(sum x^2), if norm >= EPS; dx = dy / EPS in rows with
// a smaller norm. Tasks: blocks of rows. Memory bound.
//
// Constants: COLUMNS, EPS (a float), X_BUFFER, DY_BUFFER, DX_BUFFER. Params::rows = n. No scratch, no workspace.
#pragma once

#include "cpu/l2_normalize.hpp"

namespace moproc {

template <class K>
static void l2_normalize_grad(const Params& p, const Task& t) {
  static_assert(K::EPS > 0, "l2_normalize_grad: EPS must be a positive float");
  for_rows(t, p.rows, K::COLUMNS, [&](int64_t r) {
    const float* const x = in<float>(p, K::X_BUFFER) + r * K::COLUMNS;
    const float* const dy = in<float>(p, K::DY_BUFFER) + r * K::COLUMNS;
    float* const dx = static_cast<float*>(p.buf[K::DX_BUFFER]) + r * K::COLUMNS;
    const float norm = row_norm(x, K::COLUMNS), eps = static_cast<float>(K::EPS);
    const bool shorter = norm < eps;
    const Vec by(shorter ? eps : norm);
    const Vec along(shorter ? 0.0f : sum_over(K::COLUMNS, [&](int64_t c, int lanes) {
      return load(x + c, lanes) / by * load(dy + c, lanes);
    }));
    for_vectors(K::COLUMNS, [&](int64_t c, int lanes) {
      store(dx + c, (load(dy + c, lanes) - load(x + c, lanes) / by * along) / by, lanes);
    });
  });
}

}  // namespace moproc
