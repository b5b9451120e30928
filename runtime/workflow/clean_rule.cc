// Two softmaxes and a comparison.
#include "workflow/clean_rule.h"

#include <algorithm>
#include <cmath>

namespace moproc::train {
namespace {

/// Softmax of a row: keeps its maximum, and 1 / the sum of exp(x - max).
struct Softmax {
  const float* x;
  double max, scale;

  Softmax(const float* row, int64_t n) : x(row), max(*std::max_element(row, row + n)), scale(0) {
    double sum = 0;
    for (int64_t c = 0; c < n; ++c) sum += std::exp(row[c] - max);
    scale = 1 / sum;
  }
  double operator()(int64_t c) const { return std::exp(x[c] - max) * scale; }
};

}  // namespace

Judgement judge(const float* logits, const float* proto, int64_t classes, int64_t given, const CleanRule& rule) {
  const Softmax cls(logits, classes), sim(proto, classes);
  const auto belief = [&](int64_t c) {
    const double p = cls(c), q = sim(c);
    return Belief{c, p, q, rule.alpha * p + (1 - rule.alpha) * q};
  };
  Judgement j;
  j.given = belief(given);
  j.best = belief(0);
  double second = 0;
  for (int64_t c = 1; c < classes; ++c) {
    const Belief b = belief(c);
    if (b.score > j.best.score) second = j.best.score, j.best = b;
    else second = std::max(second, b.score);
  }
  j.margin = j.best.score - second;
  if (j.best.score > rule.threshold) j.label = j.best.label;
  else if (j.given.score > 1.0 / static_cast<double>(classes)) j.label = given;
  j.verdict = j.label < 0 ? Verdict::dropped : j.label == given ? Verdict::kept : Verdict::relabelled;
  return j;
}

const char* name_of(Verdict verdict) {
  static constexpr const char* names[] = {"kept", "relabelled", "dropped"};
  return names[static_cast<int>(verdict)];
}

}  // namespace moproc::train
