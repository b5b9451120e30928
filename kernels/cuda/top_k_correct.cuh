// correct[g] = sum of w_i over the rows of group g whose target is among the TOP largest logits. The rank of a target
// is the number of larger logits, equal logits with a smaller index, and NaN. A target whose logit is NaN, or which is
// outside [0, COLUMNS), is never correct. Mapping: rows.cuh (phase 0); one warp per group, which sums in f64 (phase 1).
//
// Grid: row_tasks, then groups. Constants: COLUMNS, TOP, THREADS (256), LOGITS_BUFFER, TARGET_BUFFER (i64[n]),
// WEIGHT_BUFFER (f32[n]), CORRECT_BUFFER (f32[groups]). Params::rows = n. Workspace: n floats.
#pragma once

#include "cuda/rows.cuh"

namespace moproc {

/// Whether the target of the row x is among the `top` largest.
template <int COLUMNS>
MOPROC_INLINE bool in_top(const float* x, int64_t target, int top) {
  using R = Row<COLUMNS>;
  static_assert(COLUMNS < (1 << 24), "top_k_correct: counts are exact below 2^24 columns");
  if (target < 0 || target >= COLUMNS) return false;
  const float own = x[target];
  const float rank = R::sum([&](int base) {
    return each([&](int i) {
      const int c = R::column(base, i);
      if (c >= COLUMNS || c == target) return 0.0f;
      const float v = x[c];
      return !(v == v) || v > own || (v == own && c < target) ? 1.0f : 0.0f;
    });
  });
  return own == own && rank < static_cast<float>(top);
}

template <class K>
__device__ void top_k_correct(const Params& p) {
  using R = Row<K::COLUMNS>;
  static_assert(K::THREADS == row_block_threads, "top_k_correct: blocks of 256 threads");
  float* const hits = static_cast<float*>(p.workspace);
  if (p.phase == 0) {
    const int64_t r = R::index();
    if (r >= p.rows) return;
    const bool hit = in_top<K::COLUMNS>(in<float>(p, K::LOGITS_BUFFER) + r * K::COLUMNS,
                                        in<int64_t>(p, K::TARGET_BUFFER)[r], K::TOP);
    if (R::thread() == 0) hits[r] = hit ? in<float>(p, K::WEIGHT_BUFFER)[r] : 0.0f;
    return;
  }
  if (threadIdx.x >= 32) return;
  const double sum = sum_over_group(p, blockIdx.x, [&](int64_t r) { return static_cast<double>(hits[r]); });
  if (threadIdx.x == 0) out<float>(p, K::CORRECT_BUFFER)[blockIdx.x] = static_cast<float>(sum);
}

}  // namespace moproc
