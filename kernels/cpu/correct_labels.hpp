// MoPro's label correction: s = alpha softmax(cls) + (1 - alpha) softmax(proto). If max s > threshold, the row is kept
// and its label becomes the first argmax. Otherwise, if s[label] > 1 / COLUMNS, the row is kept with its label.
// Otherwise it is dropped (kept = 0, label unchanged). Comparisons with NaN are false, so a row that is not finite is
// dropped. Tasks: blocks of rows. Bound by exp.
//
// Constants: COLUMNS, CLS_LOGITS_BUFFER, PROTO_LOGITS_BUFFER, TARGET_BUFFER (i64[n]), ALPHA_BUFFER,
// THRESHOLD_BUFFER (f32[]), TARGET_NEW_BUFFER (i64[n], may be target), KEPT_BUFFER (f32[n]). Params::rows =
// n. Scratch: 2 * COLUMNS floats.
#pragma once

#include "cpu/softmax_rows.hpp"

namespace moproc {

/// Computes s (k) into `a` (k); `b` (k) is scratch.
MOPROC_INLINE void mixed_scores(const float* cls, const float* proto, int64_t k, float alpha, float* a, float* b) {
  const Vec sum_a(row_exp(cls, a, k)), sum_b(row_exp(proto, b, k)), of_a(alpha), of_b(1.0f - alpha);
  for_vectors(k, [&](int64_t c, int lanes) {
    store(a + c, of_a * (load(a + c, lanes) / sum_a) + of_b * (load(b + c, lanes) / sum_b), lanes);
  });
}

template <class K>
static void correct_labels(const Params& p, const Task& t) {
  const float alpha = *in<float>(p, K::ALPHA_BUFFER), threshold = *in<float>(p, K::THRESHOLD_BUFFER);
  float *const s = static_cast<float*>(t.scratch), *const other = s + K::COLUMNS;
  for_rows(t, p.rows, K::COLUMNS, [&](int64_t r) {
    mixed_scores(in<float>(p, K::CLS_LOGITS_BUFFER) + r * K::COLUMNS,
                 in<float>(p, K::PROTO_LOGITS_BUFFER) + r * K::COLUMNS, K::COLUMNS, alpha, s, other);
    const int64_t target = in<int64_t>(p, K::TARGET_BUFFER)[r];
    const bool valid = target >= 0 && target < K::COLUMNS;
    bool kept = valid && s[target] > 1.0f / static_cast<float>(K::COLUMNS);
    int64_t label = target;
    const float best = row_max(s, K::COLUMNS);
    if (best > threshold) {
      kept = true;
      for (label = 0; s[label] != best;) ++label;
    }
    static_cast<int64_t*>(p.buf[K::TARGET_NEW_BUFFER])[r] = label;
    static_cast<float*>(p.buf[K::KEPT_BUFFER])[r] = kept ? 1.0f : 0.0f;
  });
}

}  // namespace moproc
