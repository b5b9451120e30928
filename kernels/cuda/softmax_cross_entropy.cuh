// loss[g] = sum_i w_i (log sum_j exp(l_ij) - l_i,target) / sum_i w_i over the rows i of group g; 0 if no row has
// weight. A row of weight 0 is ignored, whatever its logits; a target outside [0, COLUMNS) gives NaN. Mapping: rows.cuh
// (phase 0); one warp per group, which sums in f64 (phase 1). Memory bound.
//
// Grid: row_tasks, then groups. Constants: COLUMNS, THREADS (256), LOGITS_BUFFER, TARGET_BUFFER (i64[n]),
// WEIGHT_BUFFER (f32[n]), LOSS_BUFFER (f32[groups]). Params::rows = n. Workspace: n floats.
#pragma once

#include "cuda/rows.cuh"

namespace moproc {

/// The row's term of the loss, in every thread of the row.
template <class K>
MOPROC_INLINE float cross_entropy_of_row(const Params& p, int64_t r, float weight) {
  using R = Row<K::COLUMNS>;
  const float* const x = in<float>(p, K::LOGITS_BUFFER) + r * K::COLUMNS;
  const int64_t target = in<int64_t>(p, K::TARGET_BUFFER)[r];
  const float max = R::max_of(x);
  const float sum = R::sum([&](int base) { return R::exponentials(x, base, max); });
  if (target < 0 || target >= K::COLUMNS) return __int_as_float(0x7fc00000);
  return __fmul_rn(weight, __fadd_rn(log(Vec(sum)).x[0], __fsub_rn(max, x[target])));
}

template <class K>
__device__ void softmax_cross_entropy(const Params& p) {
  using R = Row<K::COLUMNS>;
  static_assert(K::THREADS == row_block_threads, "softmax_cross_entropy: blocks of 256 threads");
  const float* const weights = in<float>(p, K::WEIGHT_BUFFER);
  float* const terms = static_cast<float*>(p.workspace);
  if (p.phase == 0) {
    const int64_t r = R::index();
    if (r >= p.rows) return;
    const float weight = weights[r], term = weight == 0.0f ? 0.0f : cross_entropy_of_row<K>(p, r, weight);
    if (R::thread() == 0) terms[r] = term;
    return;
  }
  if (threadIdx.x >= 32) return;
  const int64_t g = blockIdx.x;
  const double sum = sum_over_group(p, g, [&](int64_t r) { return static_cast<double>(terms[r]); });
  const double total = sum_over_group(p, g, [&](int64_t r) { return static_cast<double>(weights[r]); });
  if (threadIdx.x == 0) out<float>(p, K::LOSS_BUFFER)[g] = total == 0 ? 0.0f : static_cast<float>(sum / total);
}

}  // namespace moproc
