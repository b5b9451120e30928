// Softmax of one row, for the templates over matrices of logits, and how these templates divide rows into tasks.
#pragma once

#include "cpu/lanes.hpp"
#include "cpu/leaf.hpp"
#include "cpu/math.hpp"

namespace moproc {

/// Rows per task: about 8 Ki elements, or one row if its `k` elements are more.
MOPROC_INLINE constexpr int64_t row_block(int64_t k) { return k >= 8192 ? 1 : 8192 / k; }

/// Calls f(row) for the rows that belong to the tasks of `t`.
template <class F>
MOPROC_INLINE void for_rows(const Task& t, int64_t rows, int64_t k, F f) {
  const int64_t block = row_block(k), end = smaller(t.end * block, rows);
  for (int64_t r = t.begin * block; r < end; ++r) f(r);
}

/// Largest element of x (k); NaN if any is.
MOPROC_INLINE float row_max(const float* x, int64_t k) {
  return max_over(k, [&](int64_t c, int lanes) { return load(x + c, lanes); });
}

/// Sum over x (k) of exp(x - max).
MOPROC_INLINE float row_exp_sum(const float* x, int64_t k, float max) {
  return sum_over(k, [&](int64_t c, int lanes) { return exp(load(x + c, lanes) - Vec(max)); });
}

/// y (k) = exp(x - max x); returns the sum. y may be x.
MOPROC_INLINE float row_exp(const float* x, float* y, int64_t k) {
  const float max = row_max(x, k);
  return sum_over(k, [&](int64_t c, int lanes) {
    const Vec e = exp(load(x + c, lanes) - Vec(max));
    store(y + c, e, lanes);
    return e;
  });
}

/// Calls f(c, lanes) for the vectors of a row of k elements.
template <class F>
MOPROC_INLINE void for_vectors(int64_t k, F f) {
  int64_t c = 0;
  for (; c + Vec::width <= k; c += Vec::width) f(c, Vec::width);
  if (c < k) f(c, static_cast<int>(k - c));
}

MOPROC_INLINE float log_of(float x) { return max_lanes(log(Vec(x))); }

/// Group of a row.
MOPROC_INLINE int64_t group_of(const Params& p, int64_t row) { return row / (p.rows / p.groups); }

}  // namespace moproc
