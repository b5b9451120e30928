// dlogits[i, j] = dloss[g] w_i / (sum of w over the group) * (softmax(l_i)_j - [j = target_i]); 0 in rows of
// weight 0. A target outside [0, COLUMNS) gives a row of NaN. Tasks: groups (phase 0: dloss / sum of w),
// blocks of rows (phase 1).
//
// Constants: COLUMNS, LOGITS_BUFFER, TARGET_BUFFER (i64[n]), WEIGHT_BUFFER (f32[n]), DLOSS_BUFFER
// (f32[groups]), DLOGITS_BUFFER. Params::rows = n. Workspace: groups floats. dlogits may be logits.
#pragma once

#include "cpu/softmax_rows.hpp"

namespace moproc {

template <class K>
static void softmax_cross_entropy_grad(const Params& p, const Task& t) {
  const float* const weight = in<float>(p, K::WEIGHT_BUFFER);
  float* const scale = static_cast<float*>(p.workspace);
  if (t.phase == 0) {
    const int64_t rows = p.rows / p.groups;
    for (int64_t g = t.begin; g < t.end; ++g) {
      double total = 0;
      for (int64_t r = g * rows; r < (g + 1) * rows; ++r) total += weight[r];
      scale[g] = total == 0 ? 0.0f : static_cast<float>(in<float>(p, K::DLOSS_BUFFER)[g] / total);
    }
    return;
  }
  for_rows(t, p.rows, K::COLUMNS, [&](int64_t r) {
    const float* const x = in<float>(p, K::LOGITS_BUFFER) + r * K::COLUMNS;
    float* const dx = static_cast<float*>(p.buf[K::DLOGITS_BUFFER]) + r * K::COLUMNS;
    const int64_t target = in<int64_t>(p, K::TARGET_BUFFER)[r];
    const auto fill = [&](float v) {
      for_vectors(K::COLUMNS, [&](int64_t c, int lanes) { store(dx + c, Vec(v), lanes); });
    };
    if (weight[r] == 0.0f) return fill(0.0f);
    if (target < 0 || target >= K::COLUMNS) return fill(__builtin_nanf(""));
    const float f = scale[group_of(p, r)] * weight[r];
    const Vec sum(row_exp(x, dx, K::COLUMNS));
    for_vectors(K::COLUMNS, [&](int64_t c, int lanes) { store(dx + c, load(dx + c, lanes) / sum, lanes); });
    dx[target] -= 1.0f;
    for_vectors(K::COLUMNS, [&](int64_t c, int lanes) { store(dx + c, load(dx + c, lanes) * Vec(f), lanes); });
  });
}

}  // namespace moproc
