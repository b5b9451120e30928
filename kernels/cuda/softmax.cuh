// y[n, :] = exp(x[n, :] - max) / sum, row by row. Mapping: rows.cuh. The row is read three times (from L1 or L2 after
// the first) and its exponentials are computed twice. Memory bound below about 4 Ki columns, otherwise bound by
// latency.
//
// Grid: row_tasks. Constants: COLUMNS, THREADS (256), X_BUFFER, Y_BUFFER. Params::rows = n. y may be x.
#pragma once

#include "cuda/rows.cuh"

namespace moproc {

template <class K>
__device__ void softmax(const Params& p) {
  using R = Row<K::COLUMNS>;
  static_assert(K::THREADS == row_block_threads, "softmax: blocks of 256 threads");
  const int64_t r = R::index();
  if (r >= p.rows) return;
  const float* const x = in<float>(p, K::X_BUFFER) + r * K::COLUMNS;
  float* const y = out<float>(p, K::Y_BUFFER) + r * K::COLUMNS;
  const float max = R::max_of(x);
  const Vec sum(R::sum([&](int base) { return R::exponentials(x, base, max); }));
  R::rounds([&](int base) { R::store(y, base, R::exponentials(x, base, max) / sum); });
}

}  // namespace moproc
