// Softmax, cross-entropy, l2_normalize, top_k_correct and correct_labels against f64: odd widths, ties, groups without
// weight, logits that are not finite, labels out of range.
#include "native/kernels/device.h"

#include MOPROC_KERNEL(correct_labels)
#include MOPROC_KERNEL(l2_normalize)
#include MOPROC_KERNEL(l2_normalize_grad)
#include MOPROC_KERNEL(softmax)
#include MOPROC_KERNEL(softmax_cross_entropy)
#include MOPROC_KERNEL(softmax_cross_entropy_grad)
#include MOPROC_KERNEL(top_k_correct)

namespace {
using namespace moproc;
using namespace moproc::test;

template <int C>
struct K {
  static constexpr int COLUMNS = C, THREADS = 256, TOP = C < 5 ? 1 : 5;
  static constexpr float EPS = 1e-3f;
  static constexpr int X_BUFFER = 0, DY_BUFFER = 1, Y_BUFFER = 2, DX_BUFFER = 2;
  static constexpr int LOGITS_BUFFER = 0, TARGET_BUFFER = 1, WEIGHT_BUFFER = 2, LOSS_BUFFER = 3, CORRECT_BUFFER = 3;
  static constexpr int DLOSS_BUFFER = 3, DLOGITS_BUFFER = 4;
};
template <int C>
struct Correct {
  static constexpr int COLUMNS = C, THREADS = 256, CLS_LOGITS_BUFFER = 0, PROTO_LOGITS_BUFFER = 1, TARGET_BUFFER = 2,
                       ALPHA_BUFFER = 3;
  static constexpr int THRESHOLD_BUFFER = 4, TARGET_NEW_BUFFER = 5, KEPT_BUFFER = 6;
};

#if !defined(MOPROC_EMULATOR)
int64_t row_tasks(int64_t rows, int64_t k) { return ceil_of(rows, row_block(k)); }
#endif

std::vector<double> softmax_row(const Tensor<float>& x, int64_t r, int64_t k) {
  std::vector<double> e;
  double top = -INFINITY, sum = 0;
  for (int64_t c = 0; c < k; ++c)
    top = std::isnan(x[r * k + c]) || std::isnan(top) ? NAN : std::max(top, double(x[r * k + c]));
  for (int64_t c = 0; c < k; ++c) e.push_back(std::exp(x[r * k + c] - top)), sum += e.back();
  for (double& v : e) v /= sum;
  return e;
}

/// softmax_row of all rows.
std::vector<double> softmax_rows(const Tensor<float>& x, int64_t k) {
  std::vector<double> all;
  for (int64_t r = 0; r < x.size() / k; ++r) {
    const std::vector<double> row = softmax_row(x, r, k);
    all.insert(all.end(), row.begin(), row.end());
  }
  return all;
}

// Tests take the number of columns as a value, because only the kernels need one function per number.
#if defined(MOPROC_EMULATOR)
using Entry = void (*)(const Params&);
#else
using Entry = CpuEntry;
#endif

void softmaxes(Entry kernel, int64_t C, int64_t rows) {
  Random random(static_cast<uint32_t>(C));
  Tensor<float> x(rows * C, random.floats(-20, 20)), unused(1), y(rows * C);
  if (rows > 2) x[2 * C] = 3e38f, x[C] = NAN;
  Launch(kernel, rows, 1, {row_tasks(rows, C)}).arg(x).arg(unused).arg(y).run();
  // x - max is rounded: half a unit of 40 is 2e-6, and as much again in its exponential.
  const std::vector<double> want = softmax_rows(x, C);
  check_all("softmax", y, [&](int64_t i) { return want[static_cast<size_t>(i)]; }, 4e-6, 1e-37);
}
template <int C>
void softmaxes(int64_t rows) {
  softmaxes(softmax<K<C>>, C, rows);
}
TEST("softmax") {
  softmaxes<1>(3);
  softmaxes<10>(5);
  softmaxes<64>(300);
  softmaxes<1000>(20);
  softmaxes<8193>(3);
}

void cross_entropy(Entry loss_kernel, Entry grad_kernel, int64_t C, int64_t rows, int64_t groups) {
  Random random(static_cast<uint32_t>(C));
  Tensor<float> x(rows * C, random.floats(-8, 8)), loss(groups), dloss(groups, random.floats()), dx(rows * C);
  Tensor<int64_t> target(rows, random.integers(C));
  Tensor<float> weight(rows, [&](int64_t) { return random.below(3) ? random.uniform(0.25f, 2) : 0.0f; });
  const int64_t size = rows / groups;
  if (groups > 1)
    for (int64_t r = size; r < 2 * size; ++r) weight[r] = 0;  // nothing kept in group 1
  weight[0] = 1;
  for (int64_t r = 0; r < rows; ++r)
    if (weight[r] == 0) x[r * C] = NAN, target[r] = r % 2 ? -1 : C;  // must not matter
  const std::vector<double> softmaxed = softmax_rows(x, C);
  std::vector<double> total(static_cast<size_t>(groups)), want(total);
  for (int64_t r = 0; r < rows; ++r) {
    if (weight[r] == 0) continue;
    total[size_t(r / size)] += weight[r];
    want[size_t(r / size)] -= weight[r] * std::log(softmaxed[size_t(r * C + target[r])]);
  }
  Launch forward(loss_kernel, rows, groups, {row_tasks(rows, C), groups});
  forward.workspace(rows * 4).arg(x).arg(target).arg(weight).arg(loss).run();
  check_all(
      "loss", loss, [&](int64_t g) { return total[size_t(g)] == 0 ? 0 : want[size_t(g)] / total[size_t(g)]; }, 1e-6,
      1e-6);

  Launch backward(grad_kernel, rows, groups, {groups, row_tasks(rows, C)});
  backward.workspace(groups * 4).arg(x).arg(target).arg(weight).arg(dloss).arg(dx).run();
  check_all(
      "dlogits", dx,
      [&](int64_t i) {
        const int64_t r = i / C, c = i % C, g = r / size;
        if (weight[r] == 0) return 0.0;
        return dloss[g] * weight[r] / total[size_t(g)] * (softmaxed[size_t(i)] - (target[r] == c ? 1 : 0));
      },
      2e-6, 1e-7);
}
template <int C>
void cross_entropy(int64_t rows, int64_t groups) {
  cross_entropy(softmax_cross_entropy<K<C>>, softmax_cross_entropy_grad<K<C>>, C, rows, groups);
}
TEST("softmax_cross_entropy and its gradient") {
  for (int64_t groups : {1, 2, 4}) {
    cross_entropy<1>(8, groups);
    cross_entropy<10>(256, groups);
    cross_entropy<33>(4, groups);
    cross_entropy<1000>(12, groups);
    cross_entropy<8193>(4, groups);
  }
}
TEST("a weighted label out of range gives NaN") {
  for (int64_t label : {-1, 10, 1 << 30}) {
    Tensor<float> x(20, [](int64_t) { return 1.0f; }), weight(2, [](int64_t) { return 1.0f; }), loss(1),
        dloss(1, [](int64_t) { return 1.0f; }), dx(20);
    Tensor<int64_t> target(2, [&](int64_t i) { return i ? label : 3; });
    Launch(softmax_cross_entropy<K<10>>, 2, 1, {1, 1}).workspace(8).arg(x).arg(target).arg(weight).arg(loss).run();
    CHECK(std::isnan(loss[0]));
    Launch(softmax_cross_entropy_grad<K<10>>, 2, 1, {1, 1})
        .workspace(4)
        .arg(x)
        .arg(target)
        .arg(weight)
        .arg(dloss)
        .arg(dx)
        .run();
    CHECK(std::isnan(dx[19]));
    CHECK_NEAR(dx[0], 0.05, 1e-7);
  }
}

void normalised(Entry kernel, Entry grad_kernel, int64_t C, int64_t rows) {
  Random random(static_cast<uint32_t>(C));
  Tensor<float> x(rows * C, random.floats()), dy(rows * C, random.floats()), y(rows * C), dx(rows * C);
  for (int64_t c = 0; c < C; ++c) x[c] = 0, x[C + c] *= 1e-6f;  // shorter than EPS
  const auto dot = [&](const Tensor<float>& a, const Tensor<float>& b, int64_t r) {
    double s = 0;
    for (int64_t c = 0; c < C; ++c) s += double(a[r * C + c]) * b[r * C + c];
    return s;
  };
  const auto norm = [&](int64_t r) { return std::max(std::sqrt(dot(x, x, r)), double(K<1>::EPS)); };
  Launch(kernel, rows, 1, {row_tasks(rows, C)}).arg(x).arg(dy).arg(y).run();
  check_all("y", y, [&](int64_t i) { return x[i] / norm(i / C); }, 1e-6, 0);
  Launch(grad_kernel, rows, 1, {row_tasks(rows, C)}).arg(x).arg(dy).arg(dx).run();
  check_all(
      "dx", dx,
      [&](int64_t i) {
        const double n = norm(i / C), along = n * n > dot(x, x, i / C) * 1.01 ? 0 : dot(x, dy, i / C);
        return dy[i] / n - x[i] * along / (n * n * n);
      },
      1e-5, 1e-6);
}
template <int C>
void normalised(int64_t rows) {
  normalised(l2_normalize<K<C>>, l2_normalize_grad<K<C>>, C, rows);
}
TEST("l2_normalize and its gradient") {
  normalised<2>(300);
  normalised<128>(70);
  normalised<130>(3);
  normalised<1001>(9);
}

void top_k(Entry kernel, int64_t C, int64_t top, int64_t rows, int64_t groups) {
  Random random(static_cast<uint32_t>(C));
  Tensor<float> x(rows * C, [&](int64_t) { return static_cast<float>(random.below(6)); });  // many ties
  Tensor<float> weight(rows, [&](int64_t) { return static_cast<float>(random.below(3)); }), correct(groups);
  Tensor<int64_t> target(rows, random.integers(C));
  target[0] = -1, target[rows - 1] = C;
  x[C] = NAN, x[2 * C + target[2]] = NAN, x[3 * C + C / 2] = INFINITY;
  Launch launch(kernel, rows, groups, {row_tasks(rows, C), groups});
  launch.workspace(rows * 4).arg(x).arg(target).arg(weight).arg(correct).run();
  check_all(
      "correct", correct,
      [&](int64_t g) {
        double s = 0;
        for (int64_t r = g * (rows / groups); r < (g + 1) * (rows / groups); ++r) {
          if (target[r] < 0 || target[r] >= C) continue;
          const float own = x[r * C + target[r]];
          int64_t rank = std::isnan(own) ? C : 0;
          for (int64_t c = 0; c < C; ++c) {
            const float v = x[r * C + c];
            rank += std::isnan(v) || v > own || (v == own && c < target[r]);
          }
          s += rank < top ? weight[r] : 0;
        }
        return s;
      },
      0, 0);
}
template <int C>
void top_k(int64_t rows, int64_t groups) {
  top_k(top_k_correct<K<C>>, C, K<C>::TOP, rows, groups);
}
TEST("top_k_correct") {
  for (int64_t groups : {1, 2, 4}) {
    top_k<3>(40, groups);
    top_k<10>(400, groups);
    top_k<100>(80, groups);
    top_k<1000>(16, groups);
  }
}

void corrected(Entry kernel, int64_t C, int64_t rows, float alpha_, float threshold_) {
  Random random(static_cast<uint32_t>(C));
  Tensor<float> cls(rows * C, random.floats(-3, 3)), proto(rows * C, random.floats(-3, 3)), kept(rows);
  Tensor<float> alpha(1, [&](int64_t) { return alpha_; }), threshold(1, [&](int64_t) { return threshold_; });
  Tensor<int64_t> target(rows, random.integers(C)), label(rows);
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t peak = random.below(C);
    if (r % 2) cls[r * C + peak] += 7, proto[r * C + peak] += 7;  // confident
  }
  cls[3 * C] = NAN, proto[4 * C] = INFINITY, target[5] = -3, target[6] = C;
  Launch launch(kernel, rows, 1, {row_tasks(rows, C)});
  launch.scratch(2 * C * 4).arg(cls).arg(proto).arg(target).arg(alpha).arg(threshold).arg(label).arg(kept).run();
  int64_t relabelled = 0, dropped = 0;
  for (int64_t r = 0; r < rows; ++r) {
    const std::vector<double> a = softmax_row(cls, r, C), b = softmax_row(proto, r, C);
    int64_t best = 0;
    std::vector<double> s;
    for (size_t c = 0; c < a.size(); ++c) {
      s.push_back(alpha_ * a[c] + (1 - double(alpha_)) * b[c]);
      if (s[c] > s[size_t(best)]) best = int64_t(c);
    }
    const bool valid = target[r] >= 0 && target[r]<C, sure = s[size_t(best)]> threshold_;
    const double own = valid ? s[size_t(target[r])] : 0;
    if (std::fabs(own * double(C) - 1) < 1e-5 || std::fabs(s[size_t(best)] - threshold_) < 1e-6)
      continue;  // a hair's breadth
    CHECK_EQ(label[r], sure ? best : target[r]);
    CHECK_EQ(kept[r], sure || own > 1.0 / double(C) ? 1.0f : 0.0f);
    relabelled += label[r] != target[r];
    dropped += kept[r] == 0;
  }
  CHECK(relabelled > 0 && dropped > 0 && relabelled + dropped < rows);
}
template <int C>
void corrected(int64_t rows, float alpha, float threshold) {
  corrected(correct_labels<Correct<C>>, C, rows, alpha, threshold);
}
TEST("correct_labels") {
  corrected<10>(500, 0.5f, 0.8f);
  corrected<37>(200, 0.25f, 0.6f);
  corrected<1000>(40, 0.5f, 0.1f);
}
TEST("correct_labels takes the first of equal maxima") {
  Tensor<float> cls(20, [](int64_t i) { return i % 10 == 4 || i % 10 == 7 ? 5.0f : 0.0f; }), kept(2);
  Tensor<float> alpha(1, [](int64_t) { return 0.5f; }), threshold(1, [](int64_t) { return 0.4f; });
  Tensor<int64_t> target(2, [](int64_t) { return 9; }), label(2);
  Launch launch(correct_labels<Correct<10>>, 2, 1, {1});
  launch.scratch(80).arg(cls).arg(cls).arg(target).arg(alpha).arg(threshold).arg(label).arg(kept).run();
  CHECK_EQ(label[0], 4);
  CHECK_EQ(label[1], 4);
  CHECK_EQ(kept[1], 1.0f);
}

TEST("correct_labels: a score that equals the threshold or 1/K is not above it") {
  // One logit of 200 beside zeros scores exactly 1, equal logits exactly 1/4. Rows: sure and of its own label; sure of
  // another class than its label; undecided; and undecided by opposite opinions, which score 1/2 each.
  const auto logits = [](bool second) {
    return [second](int64_t i) {
      const int64_t row = i / 4, column = i % 4;
      if (row < 2) return column == 0 ? 200.0f : 0.0f;
      return row == 3 && column == (second ? 1 : 0) ? 200.0f : 0.0f;
    };
  };
  Tensor<float> cls(16, logits(false)), proto(16, logits(true)), kept(4), alpha(1, [](int64_t) { return 0.5f; });
  Tensor<int64_t> target(4, [](int64_t r) { return r == 0 ? 0 : r == 3 ? 2 : 3; }), label(4);
  struct Case {
    float threshold;
    int64_t label[4];
    float kept[4];
  };
  const Case cases[] = {
      {1.0f, {0, 3, 3, 2}, {1, 0, 0, 0}},  {std::nextafter(1.0f, 0.0f), {0, 0, 3, 2}, {1, 1, 0, 0}},
      {0.5f, {0, 0, 3, 2}, {1, 1, 0, 0}},  {std::nextafter(0.5f, 0.0f), {0, 0, 3, 0}, {1, 1, 0, 1}},
      {0.25f, {0, 0, 3, 0}, {1, 1, 0, 1}}, {std::nextafter(0.25f, 0.0f), {0, 0, 0, 0}, {1, 1, 1, 1}},
  };
  for (const Case& c : cases) {
    Tensor<float> threshold(1, [&](int64_t) { return c.threshold; });
    Launch launch(correct_labels<Correct<4>>, 4, 1, {row_tasks(4, 4)});
    launch.scratch(32).arg(cls).arg(proto).arg(target).arg(alpha).arg(threshold).arg(label).arg(kept).run();
    for (int64_t r = 0; r < 4; ++r) {
      CHECK_EQ(label[r], c.label[r]);
      CHECK_EQ(kept[r], c.kept[r]);
    }
  }
}

}  // namespace

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
