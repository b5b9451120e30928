// The matrix product in the emulator against f64: every storage order, unaligned rows, groups of rows and of terms,
// splits, prologues, an epilogue with sums and moments. Errors of three tf32 products are those of f32.
#include "cuda/matmul.cuh"

#include "native/cuda/harness.h"

namespace {
using namespace moproc;
using namespace moproc::test;

template <int B, int COLUMNS, bool FUSED>
struct Operand {
  static constexpr int buffer = FUSED ? -1 : B;
  static MOPROC_INLINE Vec load(const Params& p, const At& i, int lanes) {
    const Vec x = full<float, COLUMNS>(p, B, i, lanes);
    return max(x, Vec(0.0f)) + channel<float>(p, B + 1, i, lanes) + group_channel<float, COLUMNS>(p, B + 2, i, lanes);
  }
};
template <int N, bool SUMS>
struct Result {
  static constexpr int sums = SUMS ? 1 : 0;
  static constexpr int sum_buffer[] = {SUMS ? 8 : -1};
  static constexpr int operand_words = 8;
  static constexpr int mean_buffer = SUMS ? 9 : -1, m2_buffer = SUMS ? 10 : -1;
  static MOPROC_INLINE Vec store(const Params& p, const At& i, int lanes, Vec y, Vec* sum) {
    const Vec v = y + channel<float>(p, 7, i, lanes);
    put<float, N>(p, 6, i, lanes, v);
    if constexpr (SUMS) sum[0] = v;
    return v;
  }
};
template <int ta, int tb, int m, int n, int k, bool FUSED, bool SUMS, class O>
struct Kernel {
  static constexpr int TRANSPOSE_A = ta, TRANSPOSE_B = tb, N = n, TILE_ROWS = 64, TILE_COLUMNS = 32, STAGE_TERMS = 32,
                       STAGES = 3, THREADS = 128;
  using Operand = O;
  using A = ::Operand<0, ta ? m : k, FUSED>;
  using B = ::Operand<3, tb ? k : n, FUSED>;
  using Y = Result<n, SUMS>;
};

/// A stored matrix, its partners in the prologue, and what it is worth after it.
struct Matrix {
  int64_t rows, columns;
  Tensor<float> x, bias, of_group;
  bool fused;
  Matrix(int64_t r, int64_t c, int64_t groups, bool f, Random& random)
      : rows(r),
        columns(c),
        x(r * c, random.floats()),
        bias(c, random.floats()),
        of_group(groups * c, random.floats()),
        fused(f) {}
  double at(int64_t r, int64_t c, int64_t group) const {
    const float v = x[r * columns + c];
    return fused ? (std::max(v, 0.0f) + bias[c]) + of_group[group * columns + c] : v;
  }
};

/// A kernel, its sizes, and what its launch needs of its shape. Tests take them as values, because only the kernels
/// need one function per size.
struct Product {
  void (*kernel)(const Params&);
  bool TRANSPOSE_A, TRANSPOSE_B;
  int64_t M, N, K;
  bool FUSED, SUMS;
  int products;  // of tf32
  int threads;
  int64_t tile_rows, blocks_n, padded_row, shared_bytes;
  int64_t partials;  // per channel
};

/// `combining`: tasks of the phase that combines partials.
void check(const Product& s, int64_t combining, int64_t groups, int64_t splits) {
  Random random(23);
  Matrix a(s.TRANSPOSE_A ? s.K : s.M, s.TRANSPOSE_A ? s.M : s.K, groups, s.FUSED, random),
      b(s.TRANSPOSE_B ? s.N : s.K, s.TRANSPOSE_B ? s.K : s.N, groups, s.FUSED, random);
  Tensor<float> y(s.M * s.N), bias(s.N, random.floats());
  const int64_t row_groups = s.TRANSPOSE_A ? 1 : groups, parts = (s.TRANSPOSE_A ? groups : 1) * splits,
                blocks_m = ceil_of(s.M / row_groups, s.tile_rows);
  Tensor<float> sum(row_groups * s.N), mean(row_groups * s.N), m2(row_groups * s.N);
  const int64_t tiles = row_groups * blocks_m * s.blocks_n;
  std::vector<int64_t> tasks{parts * tiles};
  if (parts > 1) tasks.push_back(tiles);
  if (s.SUMS) tasks.push_back(combining);
  const int64_t partials = 4 * row_groups * blocks_m * s.partials * padded_channels(s.N);
  Launch l(s.kernel, s.M, groups, tasks);
  l.threads(s.threads);
  l.arg(a.x)
      .arg(a.bias)
      .arg(a.of_group)
      .arg(b.x)
      .arg(b.bias)
      .arg(b.of_group)
      .arg(y)
      .arg(bias)
      .arg(sum)
      .arg(mean)
      .arg(m2);
  l.extent({s.M, s.N, s.K, splits}).shared(s.shared_bytes);
  l.workspace(partials + (parts > 1 ? 4 * parts * s.M * s.padded_row : 0)).run();
  const double product_error = s.products == 3 ? 4e-6 : 1.1e-3;
  for (int64_t i = 0; i < s.M; ++i)
    for (int64_t j = 0; j < s.N; ++j) {
      double want = bias[j], size = 1;
      for (int64_t t = 0; t < s.K; ++t) {
        const int64_t group = s.TRANSPOSE_A ? t / (s.K / groups) : i / (s.M / groups),
                      group_b = s.TRANSPOSE_A ? group : 0;
        const double term = (s.TRANSPOSE_A ? a.at(t, i, group) : a.at(i, t, group)) *
                            (s.TRANSPOSE_B ? b.at(j, t, group_b) : b.at(t, j, group_b));
        want += term, size += std::fabs(term);
      }
      if (!(std::fabs(y[i * s.N + j] - want) <= product_error * size))
        return void(note(false, "y", static_cast<int>(i * s.N + j), show(y[i * s.N + j]) + " is not " + show(want)));
    }
  if (!s.SUMS) return;
  const int64_t rows = s.M / row_groups;
  for (int64_t g = 0; g < row_groups; ++g)
    for (int64_t j = 0; j < s.N; ++j) {
      double total = 0, size = 0, spread = 0;
      for (int64_t i = g * rows; i < (g + 1) * rows; ++i) total += y[i * s.N + j], size += std::fabs(y[i * s.N + j]);
      for (int64_t i = g * rows; i < (g + 1) * rows; ++i) spread += std::pow(y[i * s.N + j] - total / rows, 2);
      CHECK_NEAR(sum[g * s.N + j], total, 1e-6 * size);
      CHECK_NEAR(mean[g * s.N + j], total / rows, 1e-6 * size / rows);
      CHECK_NEAR(m2[g * s.N + j], spread, 4e-6 * spread);
    }
}

template <int TRANSPOSE_A, int TRANSPOSE_B, int M, int N, int K, bool FUSED, bool SUMS, class O = Tf32x3>
void check(int64_t groups, int64_t splits) {
  using Kn = Kernel<TRANSPOSE_A, TRANSPOSE_B, M, N, K, FUSED, SUMS, O>;
  using S = MatmulShape<Kn>;
  check({matmul<Kn>, TRANSPOSE_A, TRANSPOSE_B, M, N, K, FUSED, SUMS, O::products, Kn::THREADS, Kn::TILE_ROWS,
         S::blocks_n, S::padded_row, S::shared_bytes, partial_values<typename Kn::Y>},
        combine_tasks<typename Kn::Y, N>(TRANSPOSE_A ? 1 : groups), groups, splits);
}

TEST("matmul: all storage orders, aligned rows") {
  check<0, 0, 70, 40, 72, false, false>(1, 1);
  check<0, 1, 70, 40, 72, false, true>(1, 1);
  check<1, 0, 72, 40, 70, false, false>(1, 1);
  check<1, 1, 72, 40, 68, false, false>(1, 1);
}
TEST("matmul: rows that are not aligned") {
  check<0, 0, 33, 14, 37, false, true>(1, 1);
  check<0, 1, 9, 50, 129, false, false>(1, 1);
  check<1, 0, 35, 7, 65, false, false>(1, 1);
  check<1, 1, 5, 3, 31, false, false>(1, 1);
}
TEST("matmul: prologues and groups of rows, sums and moments") {
  for (const int64_t groups : {1, 2, 4}) check<0, 1, 72, 50, 40, true, true>(groups, 1);
  check<0, 0, 36, 24, 33, true, true>(2, 1);
}
TEST("matmul: groups of terms in a tree, splits in order") {
  for (const int64_t groups : {1, 2, 3})
    for (const int64_t splits : {1, 2}) check<1, 0, 40, 26, 132, true, true>(groups, splits);
  check<1, 0, 40, 24, 256, false, false>(4, 1);
}
TEST("matmul: splits of a long sum") {
  for (const int64_t splits : {2, 3, 5}) check<0, 1, 16, 24, 400, false, true>(1, splits);
  check<0, 0, 64, 8, 256, false, true>(2, 4);
}
TEST("matmul: one tf32 product") { check<0, 1, 40, 24, 64, false, false, Tf32>(1, 1); }

}  // namespace

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
