// MoPro's label correction: s = alpha softmax(cls) + (1 - alpha) softmax(proto). If max s > threshold, the row is kept
// and its label becomes the first argmax. Otherwise, if s[label] > 1 / COLUMNS, the row is kept with its label.
// Otherwise it is dropped (kept = 0, label unchanged). Comparisons with NaN are false, so a row that is not finite is
// dropped. Mapping: rows.cuh; scores are computed again when they are needed, instead of being stored. Memory bound.
//
// Grid: row_tasks. Constants: COLUMNS, THREADS (256), CLS_LOGITS_BUFFER, PROTO_LOGITS_BUFFER, TARGET_BUFFER (i64[n]),
// ALPHA_BUFFER, THRESHOLD_BUFFER (f32[]), TARGET_NEW_BUFFER (i64[n], may be target), KEPT_BUFFER (f32[n]).
// Params::rows = n.
#pragma once

#include "cuda/rows.cuh"

namespace moproc {

/// A score and its column.
struct Best {
  float score;
  int column;
  MOPROC_INLINE Best shuffled(int step) const {
    return {__shfl_xor_sync(0xffffffffu, score, step), __shfl_xor_sync(0xffffffffu, column, step)};
  }
};
/// The larger score; NaN is larger than any number, and of equal scores the first wins.
MOPROC_INLINE Best better(Best a, Best b) {
  const bool nan_a = !(a.score == a.score), nan_b = !(b.score == b.score);
  if (nan_a || nan_b) return nan_a ? a : b;
  if (a.score == b.score) return a.column < b.column ? a : b;
  return a.score > b.score ? a : b;
}

template <class K>
__device__ void correct_labels(const Params& p) {
  using R = Row<K::COLUMNS>;
  static_assert(K::THREADS == row_block_threads, "correct_labels: blocks of 256 threads");
  const int64_t r = R::index();
  if (r >= p.rows) return;
  const float alpha = *in<float>(p, K::ALPHA_BUFFER), threshold = *in<float>(p, K::THRESHOLD_BUFFER);
  const float* const a = in<float>(p, K::CLS_LOGITS_BUFFER) + r * K::COLUMNS;
  const float* const b = in<float>(p, K::PROTO_LOGITS_BUFFER) + r * K::COLUMNS;
  const float max_a = R::max_of(a), max_b = R::max_of(b);
  const Vec sum_a(R::sum([&](int base) { return R::exponentials(a, base, max_a); }));
  const Vec sum_b(R::sum([&](int base) { return R::exponentials(b, base, max_b); }));
  const auto mix = [&](Vec ea, Vec eb) {
    return Vec(alpha) * (ea / sum_a) + Vec(__fsub_rn(1.0f, alpha)) * (eb / sum_b);
  };

  Best mine{__int_as_float(static_cast<int>(0xff800000u)), 0};
  R::rounds([&](int base) {
    const Vec s = mix(R::exponentials(a, base, max_a), R::exponentials(b, base, max_b));
#pragma unroll
    for (int i = 0; i < 8; ++i)
      if (R::column(base, i) < K::COLUMNS) mine = better(mine, Best{s.x[i], R::column(base, i)});
  });
  const Best best = R::join_all(mine, [](Best x, Best y) { return better(x, y); });
  if (R::thread() != 0) return;
  const int64_t target = in<int64_t>(p, K::TARGET_BUFFER)[r];
  bool kept = false;
  if (target >= 0 && target < K::COLUMNS) {
    const Vec own = mix(exp(Vec(a[target]) - Vec(max_a)), exp(Vec(b[target]) - Vec(max_b)));
    kept = own.x[0] > 1.0f / static_cast<float>(K::COLUMNS);
  }
  const bool sure = best.score > threshold;
  out<int64_t>(p, K::TARGET_NEW_BUFFER)[r] = sure ? best.column : target;
  out<float>(p, K::KEPT_BUFFER)[r] = kept || sure ? 1.0f : 0.0f;
}

}  // namespace moproc
