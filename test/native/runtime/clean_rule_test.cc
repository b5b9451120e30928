// The rule of noise correction against the same rule in plain loops, and scores that lie on a threshold.
#include <cmath>
#include <random>
#include <vector>

#include "tap.h"
#include "workflow/clean_rule.h"

using namespace moproc::train;

namespace {

std::vector<double> softmax(const std::vector<float>& x) {
  double sum = 0;
  for (const float v : x) sum += std::exp(static_cast<double>(v));
  std::vector<double> y;
  for (const float v : x) y.push_back(std::exp(static_cast<double>(v)) / sum);
  return y;
}

Judgement of(const std::vector<float>& logits, const std::vector<float>& proto, int64_t given, CleanRule rule) {
  return judge(logits.data(), proto.data(), static_cast<int64_t>(logits.size()), given, rule);
}

}  // namespace

TEST("clean: random rows are judged as plain loops judge them") {
  std::mt19937 random(3);
  std::normal_distribution<float> normal(0, 2);
  int seen[3] = {};
  for (int i = 0; i < 3000; ++i) {
    const int classes = 2 + i % 9, given = i % classes;
    std::vector<float> logits, proto;
    for (int c = 0; c < classes; ++c) logits.push_back(normal(random)), proto.push_back(normal(random));
    const CleanRule rule{i % 5 / 4.0, 0.3 + i % 7 / 10.0};
    const std::vector<double> p = softmax(logits), q = softmax(proto);
    std::vector<double> s;
    for (int c = 0; c < classes; ++c) s.push_back(rule.alpha * p[c] + (1 - rule.alpha) * q[c]);
    int best = 0;
    for (int c = 1; c < classes; ++c) best = s[c] > s[best] ? c : best;
    double second = 0;
    for (int c = 0; c < classes; ++c) second = c != best && s[c] > second ? s[c] : second;
    const int label = s[best] > rule.threshold ? best : s[given] > 1.0 / classes ? given : -1;

    const Judgement j = of(logits, proto, given, rule);
    CHECK_EQ(j.label, label);
    CHECK(j.verdict == (label < 0 ? Verdict::dropped : label == given ? Verdict::kept : Verdict::relabelled));
    CHECK_EQ(j.best.label, best);
    CHECK_EQ(j.given.label, given);
    CHECK(std::fabs(j.given.score - s[given]) < 1e-12 && std::fabs(j.best.score - s[best]) < 1e-12);
    CHECK(std::fabs(j.best.cls - p[best]) < 1e-12 && std::fabs(j.given.proto - q[given]) < 1e-12);
    CHECK(std::fabs(j.margin - (s[best] - second)) < 1e-12);
    ++seen[static_cast<int>(j.verdict)];
  }
  CHECK(seen[0] > 300 && seen[1] > 300 && seen[2] > 300);
}

TEST("clean: a score that equals a threshold is not above it; of equal scores the first class is best") {
  const std::vector<float> even = {1, 1, 1, 1};
  const Judgement j = of(even, even, 2, {0.5, 0.25});
  CHECK_EQ(j.best.label, 0);
  CHECK_EQ(j.label, -1);
  CHECK_EQ(j.margin, 0.0);
  CHECK(of(even, even, 2, {0.5, 0.24}).verdict == Verdict::relabelled);
}

TEST("clean: logits of any size give shares, not overflows; NaN drops") {
  const std::vector<float> far = {3e38f, -3e38f, 0}, flat = {0, 0, 0};
  const Judgement j = of(far, flat, 1, {0.5, 0.6});
  CHECK_EQ(j.label, 0);
  CHECK_EQ(j.best.cls, 1.0);
  CHECK_EQ(j.given.cls, 0.0);
  const std::vector<float> broken = {NAN, 0, 0};
  CHECK(of(broken, flat, 0, {0.5, 0.6}).verdict == Verdict::dropped);
}
