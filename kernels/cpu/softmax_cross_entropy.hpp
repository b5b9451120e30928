// loss[g] = sum_i w_i (log sum_j exp(l_ij) - l_i,target) / sum_i w_i over the rows i of group g; 0 if no row has
// weight. A row of weight 0 is ignored, whatever its logits; a target outside [0, COLUMNS) gives NaN. Tasks: blocks of
// rows (phase 0); groups (phase 1), which sum in f64 in the order of rows. Bound by exp.
//
// Constants: COLUMNS, LOGITS_BUFFER, TARGET_BUFFER (i64[n]), WEIGHT_BUFFER (f32[n]), LOSS_BUFFER
// (f32[groups]). Params::rows = n. Workspace: n floats.
#pragma once

#include "cpu/softmax_rows.hpp"

namespace moproc {

template <class K>
static void softmax_cross_entropy(const Params& p, const Task& t) {
  const float* const weight = in<float>(p, K::WEIGHT_BUFFER);
  float* const terms = static_cast<float*>(p.workspace);
  if (t.phase == 0) {
    for_rows(t, p.rows, K::COLUMNS, [&](int64_t r) {
      terms[r] = 0.0f;
      if (weight[r] == 0.0f) return;
      const float* const x = in<float>(p, K::LOGITS_BUFFER) + r * K::COLUMNS;
      const int64_t target = in<int64_t>(p, K::TARGET_BUFFER)[r];
      const float max = row_max(x, K::COLUMNS), sum = row_exp_sum(x, K::COLUMNS, max);
      const bool valid = target >= 0 && target < K::COLUMNS;
      terms[r] = valid ? weight[r] * (log_of(sum) + (max - x[target])) : __builtin_nanf("");
    });
    return;
  }
  const int64_t rows = p.rows / p.groups;
  for (int64_t g = t.begin; g < t.end; ++g) {
    double sum = 0, total = 0;
    for (int64_t r = g * rows; r < (g + 1) * rows; ++r) sum += terms[r], total += weight[r];
    static_cast<float*>(p.buf[K::LOSS_BUFFER])[g] = total == 0 ? 0.0f : static_cast<float>(sum / total);
  }
}

}  // namespace moproc
