// A linear support vector machine with squared hinge loss, solved in the dual: the problem that scikit-learn's
// LinearSVC solves with LIBLINEAR.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace moproc::train {

/// min over w, b of (|w|^2 + b^2) / 2 + sum over i of cost_i max(0, 1 - sign_i (w . x_i + b))^2
struct SvmProblem {
  int64_t width = 0;               // elements of a row
  std::vector<const float*> rows;  // (n) each points to `width` elements
  std::vector<int8_t> signs;       // (n) 1 or -1
  double cost_positive = 1, cost_negative = 1;
};

struct SvmOptions {
  double tolerance = 1e-4;  // done if the largest minus the least projected gradient of the dual is at most this
  int max_passes = 1000;    // over the rows
};

struct Svm {
  std::vector<double> weight;  // (width)
  double bias = 0;
  int passes = 0;
  bool converged = false;
  /// w . x + b
  double decision(const float* row) const;
};

/// Dual coordinate descent with shrinking (Hsieh et al., ICML 2008, algorithm 3). The order of the rows is drawn from a
/// fixed seed, so equal problems give equal bits. If max_passes did not suffice, `converged` is false.
Svm train_svm(const SvmProblem& problem, const SvmOptions& options);

}  // namespace moproc::train
