// correct[g] = sum of w_i over the rows of group g whose target is among the TOP largest logits. The rank of a target
// is the number of larger logits, equal logits with a smaller index, and NaN. A target whose logit is NaN, or which is
// outside [0, COLUMNS), is never correct. Tasks: blocks of rows (phase 0); groups (phase 1), which sum in the order of
// rows.
//
// Constants: COLUMNS, TOP, LOGITS_BUFFER, TARGET_BUFFER (i64[n]), WEIGHT_BUFFER (f32[n]), CORRECT_BUFFER
// (f32[groups]). Params::rows = n. Workspace: n floats.
#pragma once

#include "cpu/softmax_rows.hpp"

namespace moproc {

/// Whether the target of row x (k) is among the `top` largest.
MOPROC_INLINE bool in_top(const float* x, int64_t k, int64_t target, int64_t top) {
  if (target < 0 || target >= k || !(x[target] == x[target])) return false;
  const Vec own(x[target]), one(1.0f), zero(0.0f);
  const auto count = [&](int64_t n, const float* from, bool equal) {
    return static_cast<int64_t>(sum_over(n, [&](int64_t c, int lanes) {  // exact: below 2^24 each
      const Vec v = load(from + c, lanes);
      const Vec ahead = select(v > own, one, equal ? select(v == own, one, zero) : zero);
      return select(v == v, ahead, one);
    }));
  };
  return count(target, x, true) + count(k - target - 1, x + target + 1, false) < top;
}

template <class K>
static void top_k_correct(const Params& p, const Task& t) {
  static_assert(K::COLUMNS < (1 << 24), "top_k_correct: counts are exact below 2^24 columns");
  float* const hits = static_cast<float*>(p.workspace);
  if (t.phase == 0) {
    for_rows(t, p.rows, K::COLUMNS, [&](int64_t r) {
      const bool hit = in_top(in<float>(p, K::LOGITS_BUFFER) + r * K::COLUMNS, K::COLUMNS,
                              in<int64_t>(p, K::TARGET_BUFFER)[r], K::TOP);
      hits[r] = hit ? in<float>(p, K::WEIGHT_BUFFER)[r] : 0.0f;
    });
    return;
  }
  const int64_t rows = p.rows / p.groups;
  for (int64_t g = t.begin; g < t.end; ++g) {
    double sum = 0;
    for (int64_t r = g * rows; r < (g + 1) * rows; ++r) sum += hits[r];
    static_cast<float*>(p.buf[K::CORRECT_BUFFER])[g] = static_cast<float>(sum);
  }
}

}  // namespace moproc
