// dlogits[i, j] = dloss[g] w_i / (sum of w over the group) * (softmax(l_i)_j - [j = target_i]); 0 in rows of
// weight 0. A target outside [0, COLUMNS) gives a row of NaN. Mapping: one warp per group (phase 0: dloss / sum of w),
// rows.cuh (phase 1). Memory bound.
//
// Grid: groups, then row_tasks. Constants: COLUMNS, THREADS (256), LOGITS_BUFFER, TARGET_BUFFER (i64[n]),
// WEIGHT_BUFFER (f32[n]), DLOSS_BUFFER (f32[groups]), DLOGITS_BUFFER. Params::rows = n. Workspace: groups floats.
// dlogits may be logits.
#pragma once

#include "cuda/rows.cuh"

namespace moproc {

template <class K>
MOPROC_INLINE void cross_entropy_grad_of_row(const Params& p, int64_t r, float scale) {
  using R = Row<K::COLUMNS>;
  const float* const x = in<float>(p, K::LOGITS_BUFFER) + r * K::COLUMNS;
  float* const dx = out<float>(p, K::DLOGITS_BUFFER) + r * K::COLUMNS;
  const int64_t target = in<int64_t>(p, K::TARGET_BUFFER)[r];
  const float weight = in<float>(p, K::WEIGHT_BUFFER)[r];
  const bool valid = target >= 0 && target < K::COLUMNS;
  if (weight == 0.0f || !valid) {
    const Vec fill(weight == 0.0f ? 0.0f : __int_as_float(0x7fc00000));
    R::rounds([&](int base) { R::store(dx, base, fill); });
    return;
  }
  const Vec f(__fmul_rn(scale, weight));
  const float max = R::max_of(x);
  const Vec sum(R::sum([&](int base) { return R::exponentials(x, base, max); }));
  R::rounds([&](int base) {
    const Vec hit = each([&](int i) { return R::column(base, i) == target ? 1.0f : 0.0f; });
    R::store(dx, base, (R::exponentials(x, base, max) / sum - hit) * f);
  });
}

template <class K>
__device__ void softmax_cross_entropy_grad(const Params& p) {
  static_assert(K::THREADS == row_block_threads, "softmax_cross_entropy_grad: blocks of 256 threads");
  float* const scale = static_cast<float*>(p.workspace);
  if (p.phase == 1) {
    const int64_t r = Row<K::COLUMNS>::index();
    if (r < p.rows) cross_entropy_grad_of_row<K>(p, r, scale[group_of(p, r)]);
    return;
  }
  if (threadIdx.x >= 32) return;
  const int64_t g = blockIdx.x;
  const float* const weights = in<float>(p, K::WEIGHT_BUFFER);
  const double total = sum_over_group(p, g, [&](int64_t r) { return static_cast<double>(weights[r]); });
  if (threadIdx.x == 0) scale[g] = total == 0 ? 0.0f : static_cast<float>(in<float>(p, K::DLOSS_BUFFER)[g] / total);
}

}  // namespace moproc
