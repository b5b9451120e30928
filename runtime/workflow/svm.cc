// The bias is the weight of an additional column of ones. So it is regularised, too, as in LinearSVC with
// intercept_scaling 1.
#include "workflow/svm.h"

#include <cmath>
#include <limits>
#include <numeric>

#include "core/rng.h"

namespace moproc::train {
namespace {

constexpr int kLanes = 8;  // partial sums, so that the compiler can vectorise

double dot(const double* a, const float* b, int64_t n) {
  double sums[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int l = 0; l < kLanes; ++l) sums[l] += a[i + l] * static_cast<double>(b[i + l]);
  for (; i < n; ++i) sums[0] += a[i] * static_cast<double>(b[i]);
  return std::accumulate(sums, sums + kLanes, 0.0);
}

double squares(const float* x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return sum;
}

/// The largest and the least projected gradient of one pass over the rows.
struct Span {
  double high = -std::numeric_limits<double>::infinity(), low = std::numeric_limits<double>::infinity();
  void add(double g) {
    high = std::max(high, g);
    low = std::min(low, g);
  }
};

}  // namespace

double Svm::decision(const float* row) const {
  return dot(weight.data(), row, static_cast<int64_t>(weight.size())) + bias;
}

Svm train_svm(const SvmProblem& p, const SvmOptions& options) {
  const size_t n = p.rows.size();
  Svm svm;
  svm.weight.assign(static_cast<size_t>(p.width), 0);
  std::vector<double> alpha(n, 0), own(n), curvature(n);  // per row, for its coordinate of the dual
  for (size_t i = 0; i < n; ++i) {
    own[i] = 0.5 / (p.signs[i] > 0 ? p.cost_positive : p.cost_negative);
    curvature[i] = own[i] + squares(p.rows[i], p.width) + 1;
  }
  std::vector<uint32_t> active(n);
  std::iota(active.begin(), active.end(), 0u);
  std::vector<uint32_t> asleep;  // rows left out because their alpha is 0 and likely to stay 0
  double may_sleep = std::numeric_limits<double>::infinity();
  data::Stream stream(0, data::Purpose::svm_order, 0, 0);
  while (svm.passes < options.max_passes) {
    stream.shuffle(active);
    Span span;
    size_t kept = 0;
    for (const uint32_t i : active) {
      const double sign = p.signs[i];
      const double gradient = sign * svm.decision(p.rows[i]) - 1 + alpha[i] * own[i];
      if (alpha[i] == 0 && gradient > may_sleep) {
        asleep.push_back(i);
        continue;
      }
      active[kept++] = i;
      const double projected = alpha[i] == 0 ? std::min(gradient, 0.0) : gradient;
      span.add(projected);
      if (std::abs(projected) <= 1e-12) continue;
      const double next = std::max(alpha[i] - gradient / curvature[i], 0.0), step = (next - alpha[i]) * sign;
      alpha[i] = next;
      for (int64_t k = 0; k < p.width; ++k)
        svm.weight[static_cast<size_t>(k)] += step * static_cast<double>(p.rows[i][k]);
      svm.bias += step;
    }
    active.resize(kept);
    ++svm.passes;
    if (span.high - span.low <= options.tolerance) {
      if (asleep.empty()) {
        svm.converged = true;
        break;
      }
      active.insert(active.end(), asleep.begin(), asleep.end());  // check the rows that were left out
      asleep.clear();
      may_sleep = std::numeric_limits<double>::infinity();
    } else {
      may_sleep = span.high > 0 ? span.high : std::numeric_limits<double>::infinity();
    }
  }
  return svm;
}

}  // namespace moproc::train
