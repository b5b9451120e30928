// matmul against loops in f64: all transposes, sizes around every block edge, prologues, epilogue with sums, groups.
#include "cpu/matmul.hpp"

#include "native/kernels/harness.h"

namespace {
using namespace moproc;
using namespace moproc::test;

/// Plain operands; y = 2 * product + bias; bias is buffer 2, y is buffer 3.
template <int TRANSPOSE_A_, int TRANSPOSE_B_, int N_>
struct Plain {
  static constexpr int TRANSPOSE_A = TRANSPOSE_A_, TRANSPOSE_B = TRANSPOSE_B_, N = N_;
  struct A {
    static constexpr int buffer = 0;
    using stored = float;
  };
  struct B {
    static constexpr int buffer = 1;
    using stored = float;
  };
  struct Y {
    static constexpr int sums = 0;
    static constexpr int sum_buffer[] = {-1};
    static constexpr int mean_buffer = -1, m2_buffer = -1;
    static MOPROC_INLINE Vec store(const Params& p, const At& i, int lanes, Vec y, Vec*) {
      put<float, N>(p, 3, i, lanes, y * Vec(2.0f) + channel<float>(p, 2, i, lanes));
      return y;
    }
  };
};

/// a * row value + 1 and relu(b) * group value; sums and moments of y.
template <int TRANSPOSE_A_, int TRANSPOSE_B_, int M_, int N_, int K_>
struct Fused {
  static constexpr int TRANSPOSE_A = TRANSPOSE_A_, TRANSPOSE_B = TRANSPOSE_B_, N = N_,
                       COLUMNS_A = TRANSPOSE_A ? M_ : K_, COLUMNS_B = TRANSPOSE_B ? K_ : N_;
  struct A {
    static constexpr int buffer = -1;
    static MOPROC_INLINE Vec load(const Params& p, const At& i, int lanes) {
      return fma(full<float, COLUMNS_A>(p, 0, i, lanes), row<float>(p, 2, i, lanes), Vec(1.0f));
    }
  };
  struct B {
    static constexpr int buffer = -1;
    static MOPROC_INLINE Vec load(const Params& p, const At& i, int lanes) {
      return max(full<float, COLUMNS_B>(p, 1, i, lanes), Vec(0.0f)) * Vec(in<float>(p, 3)[i.group]);
    }
  };
  struct Y {
    static constexpr int sums = 1;
    static constexpr int sum_buffer[] = {5};
    static constexpr int mean_buffer = 6, m2_buffer = 7;
    static MOPROC_INLINE Vec store(const Params& p, const At& i, int lanes, Vec y, Vec* sum) {
      put<float, N>(p, 4, i, lanes, y);
      sum[0] = y;
      return y;
    }
  };
};

/// Products of rows x columns at k, from stored operands.
struct Reference {
  bool ta, tb;
  int64_t m, n, k;
  double a(const Tensor<float>& x, int64_t i, int64_t l) const { return x[ta ? l * m + i : i * k + l]; }
  double b(const Tensor<float>& x, int64_t l, int64_t j) const { return x[tb ? j * k + l : l * n + j]; }
  double product(const Tensor<float>& x, const Tensor<float>& y, int64_t i, int64_t j) const {
    double s = 0;
    for (int64_t l = 0; l < k; ++l) s += a(x, i, l) * b(y, l, j);
    return s;
  }
  /// The order that the kernel promises, in f32: chains of 256 fused multiply-adds, added up; then a tree
  /// over groups.
  float promised(const Tensor<float>& x, const Tensor<float>& y, int64_t i, int64_t j, int64_t groups) const {
    std::vector<float> part;
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t begin = g * k / groups, end = (g + 1) * k / groups;
      for (int64_t at = begin; at < end; at += 256) {
        float chain = 0;
        for (int64_t l = at; l < std::min(end, at + 256); ++l)
          chain = std::fma(static_cast<float>(a(x, i, l)), static_cast<float>(b(y, l, j)), chain);
        if (at == begin) part.push_back(chain);
        else part.back() += chain;
      }
    }
    for (int64_t step = 1; step < groups; step *= 2)
      for (int64_t g = 0; g + step < groups; g += 2 * step) part[size_t(g)] += part[size_t(g + step)];
    return part[0];
  }
};

// Tests take sizes as values, because only the kernels need one function per size.

void plain(CpuEntry kernel, bool TRANSPOSE_A, bool TRANSPOSE_B, int64_t N, int64_t m, int64_t k, int64_t groups) {
  Random random(static_cast<uint32_t>(m * 1000 + k));
  Tensor<float> a(m * k, random.floats()), b(k * N, random.floats()), bias(N, random.floats()), y(m * N);
  const int64_t row_groups = TRANSPOSE_A ? 1 : groups;
  const MatmulBlocks cut = matmul_blocks(m / row_groups, row_groups, N);
  Launch launch(kernel, m, groups, {row_groups * cut.m_blocks * cut.n_blocks});
  launch.extent({m, N, k}).scratch(matmul_scratch(cut, TRANSPOSE_A ? groups : 1)).arg(a).arg(b).arg(bias).arg(y).run();
  const Reference of{TRANSPOSE_A, TRANSPOSE_B, m, N, k};
  check_all(
      "y", y, [&](int64_t e) { return 2 * of.promised(a, b, e / N, e % N, TRANSPOSE_A ? groups : 1) + bias[e % N]; }, 0,
      0);
  const double tolerance =
      2e-7 * std::sqrt(static_cast<double>(k) * static_cast<double>(std::min(k, int64_t{256}))) + 1e-6;
  check_all("y", y, [&](int64_t e) { return 2 * of.product(a, b, e / N, e % N) + bias[e % N]; }, 1e-6, tolerance);
}

template <int TRANSPOSE_A, int TRANSPOSE_B, int N>
void plain(int64_t m, int64_t k, int64_t groups = 1) {
  plain(matmul<Plain<TRANSPOSE_A, TRANSPOSE_B, N>>, TRANSPOSE_A, TRANSPOSE_B, N, m, k, groups);
}

template <int TRANSPOSE_A, int TRANSPOSE_B>
void shapes() {
  for (int64_t m : {1, 2, 6, 7, 8, 16, 43})
    plain<TRANSPOSE_A, TRANSPOSE_B, 17>(m, 1), plain<TRANSPOSE_A, TRANSPOSE_B, 17>(m, 40);
  plain<TRANSPOSE_A, TRANSPOSE_B, 65>(167, 255);
  plain<TRANSPOSE_A, TRANSPOSE_B, 65>(168, 256);
  plain<TRANSPOSE_A, TRANSPOSE_B, 65>(169, 257);
  plain<TRANSPOSE_A, TRANSPOSE_B, 300>(350, 33);
  plain<TRANSPOSE_A, TRANSPOSE_B, 300>(32, 1000);
}
TEST("a b") { shapes<0, 0>(); }
TEST("a b^T") { shapes<0, 1>(); }
TEST("a^T b") { shapes<1, 0>(); }
TEST("a^T b^T") { shapes<1, 1>(); }
TEST("one column, and more column blocks than one") {
  plain<0, 1, 1>(43, 300);
  plain<0, 0, 4099>(5, 7);
}
TEST("terms in groups, summed as a tree") {
  for (int64_t groups : {2, 3, 4, 5, 6, 7, 8}) plain<1, 0, 33>(70, groups * 9, groups);
  plain<1, 0, 129>(180, 4 * 300, 4);
}

TEST("two ranks' halves of the terms add up to the whole, bit for bit") {
  constexpr int N = 37;
  const int64_t m = 20, k = 8 * 31;
  using K = Plain<1, 0, N>;
  Random random(3);
  Tensor<float> a(m * k, random.floats()), b(k * N, random.floats()), zero(N, [](int64_t) { return 0.0f; });
  Tensor<float> low_a(m * k / 2, [&](int64_t i) { return a[i]; }),
      high_a(m * k / 2, [&](int64_t i) { return a[m * k / 2 + i]; });
  Tensor<float> low_b(k / 2 * N, [&](int64_t i) { return b[i]; }),
      high_b(k / 2 * N, [&](int64_t i) { return b[k / 2 * N + i]; });
  Tensor<float> whole(m * N), low(m * N), high(m * N);
  const auto product = [&](Tensor<float>& x, Tensor<float>& y, Tensor<float>& to, int64_t terms, int64_t groups) {
    const MatmulBlocks cut = matmul_blocks(m, 1, N);
    Launch launch(matmul<K>, m, groups, {cut.m_blocks * cut.n_blocks});
    launch.extent({m, N, terms}).scratch(matmul_scratch(cut, groups)).arg(x).arg(y).arg(zero).arg(to).run();
  };
  product(a, b, whole, k, 8);
  product(low_a, low_b, low, k / 2, 4);
  product(high_a, high_b, high, k / 2, 4);
  for (int64_t i = 0; i < m * N; ++i) CHECK_EQ(whole[i], low[i] + high[i]);
}

void fused(CpuEntry kernel, bool TRANSPOSE_A, bool TRANSPOSE_B, int64_t M, int64_t N, int64_t KK, int64_t combining,
           int64_t groups) {
  const int64_t row_groups = TRANSPOSE_A ? 1 : groups;
  Random random(static_cast<uint32_t>(M + N + KK));
  Tensor<float> a(M * KK, random.floats()), b(KK * N, random.floats()), rows(std::max(M, KK), random.floats());
  Tensor<float> scale(groups, random.floats()), y(M * N), sum(row_groups * N), mean(row_groups * N), m2(row_groups * N);
  const MatmulBlocks cut = matmul_blocks(M / row_groups, row_groups, N);
  Launch launch(kernel, M, groups, {row_groups * cut.m_blocks * cut.n_blocks, combining});
  launch.extent({M, N, KK}).scratch(matmul_scratch(cut, TRANSPOSE_A ? groups : 1));
  launch.workspace(row_groups * cut.m_blocks * 3 * padded_channels(N) * 4);
  launch.arg(a).arg(b).arg(rows).arg(scale).arg(y).arg(sum).arg(mean).arg(m2).run();
  const Reference of{TRANSPOSE_A, TRANSPOSE_B, M, N, KK};
  std::vector<double> exact;
  for (int64_t i = 0; i < M; ++i)
    for (int64_t j = 0; j < N; ++j) {
      double s = 0;
      for (int64_t l = 0; l < KK; ++l) {
        const double f = TRANSPOSE_A && !TRANSPOSE_B ? scale[l / (KK / groups)] : scale[0];
        s += (of.a(a, i, l) * rows[TRANSPOSE_A ? l : i] + 1) * std::max(of.b(b, l, j), 0.0) * f;
      }
      exact.push_back(s);
    }
  const auto value = [&](int64_t i, int64_t j) { return exact[static_cast<size_t>(i * N + j)]; };
  check_all("y", y, [&](int64_t e) { return value(e / N, e % N); }, 2e-6, 2e-7 * double(KK));
  const int64_t part = M / row_groups;
  const auto over = [&](int64_t gj, auto f) {
    double s = 0;
    for (int64_t i = 0; i < part; ++i) s += f(value(gj / N * part + i, gj % N));
    return s;
  };
  const double tolerance = 2e-7 * double(KK) * double(part);
  check_all("sum", sum, [&](int64_t i) { return over(i, [](double v) { return v; }); }, 2e-6, tolerance);
  check_all(
      "mean", mean, [&](int64_t i) { return over(i, [](double v) { return v; }) / double(part); }, 2e-6, tolerance);
  check_all(
      "m2", m2,
      [&](int64_t i) {
        const double mu = over(i, [](double v) { return v; }) / double(part);
        return over(i, [&](double v) { return (v - mu) * (v - mu); });
      },
      2e-5, tolerance);
}

template <int TRANSPOSE_A, int TRANSPOSE_B, int M, int N, int KK>
void fused(int64_t groups) {
  using K = Fused<TRANSPOSE_A, TRANSPOSE_B, M, N, KK>;
  const int64_t combining = combine_tasks<typename K::Y, N>(TRANSPOSE_A ? 1 : groups);
  fused(matmul<K>, TRANSPOSE_A, TRANSPOSE_B, M, N, KK, combining, groups);
}

TEST("prologues, epilogue, sums and moments") {
  fused<0, 0, 36, 70, 50>(1);
  fused<0, 1, 36, 70, 50>(2);
  fused<0, 0, 400, 130, 270>(2);
  fused<0, 1, 40, 200, 300>(4);
  fused<1, 0, 45, 33, 40>(1);
  fused<1, 0, 45, 90, 40>(4);
  fused<1, 1, 9, 20, 24>(1);
}

}  // namespace

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
