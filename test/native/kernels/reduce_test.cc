// reduce and group_sum against loops in f64; all_finite with a bad value in every place.
#include "native/kernels/device.h"

#include MOPROC_KERNEL(all_finite)
#include MOPROC_KERNEL(group_sum)
#include MOPROC_KERNEL(reduce)
#if defined(MOPROC_EMULATOR)
#include <functional>

#include "cuda/rank_sum.cuh"
#endif

namespace {
using namespace moproc;
using namespace moproc::test;

#if !defined(MOPROC_EMULATOR)
int64_t reduce_columns(int64_t) { return 1; }
#endif

template <int KIND_>
struct Reduce {
  static constexpr int KIND = KIND_, THREADS = 256, X_BUFFER = 0, Y_BUFFER = 1;
};

template <int KIND>
void reduced(int64_t outer, int64_t red, int64_t inner, bool special = false) {
  Random random(static_cast<uint32_t>(red));
  Tensor<float> x(outer * red * inner, random.floats()), y(outer * inner);
  if (special) x[x.size() / 2] = NAN;
  const int64_t tiles = ceil_of(red, reduce_tile(inner));
  std::vector<int64_t> tasks{outer * tiles * reduce_columns(inner)};
  if (tiles > 1) tasks.push_back(outer * reduce_columns(inner));
  Launch launch(reduce<Reduce<KIND>>, outer, 1, tasks);
  launch.extent({outer, red, inner}).workspace(tiles > 1 ? outer * tiles * inner * 4 : 0).arg(x).arg(y).run();
  check_all(
      "y", y,
      [&](int64_t i) {
        double s = KIND == 1 ? -INFINITY : 0;
        for (int64_t r = 0; r < red; ++r) {
          const double v = x[(i / inner * red + r) * inner + i % inner];
          s = KIND == 0 ? s + v : std::isnan(v) || std::isnan(s) ? NAN : std::max(s, v);
        }
        return s;
      },
      1e-6, KIND == 1 ? 0 : 3e-7 * std::sqrt(double(red)) * 4);
}

template <int KIND>
void shapes() {
  for (int64_t inner : {1, 2, 16, 37, 300})
    for (int64_t red : {1, 15, 64, 1000}) reduced<KIND>(3, red, inner), reduced<KIND>(2, red, inner, true);
  reduced<KIND>(1, 200000, 1);
  reduced<KIND>(5, 50001, 1, true);
  reduced<KIND>(2, 3000, 64);
  reduced<KIND>(1, 20, 20000);
}
TEST("sum") { shapes<0>(); }
TEST("max, NaN stays") { shapes<1>(); }

template <int G, int R>
struct Groups {
  static constexpr int X_GROUPS = G, REST = R, THREADS = 256, X_BUFFER = 0, Y_BUFFER = 1;
};
template <int G, int R>
void group_sums() {
  Random random(G);
  Tensor<float> x(G * R, random.floats()), y(R);
  Launch(group_sum<Groups<G, R>>, G, 1, {ceil_of(R, group_sum_chunk)}).arg(x).arg(y).run();
  for (int64_t i = 0; i < R; ++i) {  // bit for bit: the order of the tree is promised
    std::vector<float> a;
    for (int64_t g = 0; g < G; ++g) a.push_back(x[g * R + i]);
    for (size_t step = 1; step < G; step *= 2)
      for (size_t g = 0; g + step < G; g += 2 * step) a[g] += a[g + step];
    CHECK_EQ(y[i], a[0]);
  }
}
TEST("group_sum adds in tree order") {
  group_sums<1, 5>();
  group_sums<2, 64>();
  group_sums<3, 17>();
  group_sums<4, 9000>();
  group_sums<5, 1>();
  group_sums<6, 33>();
  group_sums<7, 100>();
  group_sums<64, 20>();
}

#if defined(MOPROC_EMULATOR)
struct RankSum {
  static constexpr int THREADS = 256;
};
TEST("rank_sum adds in the order of the communicators, of any number of ranks and floats") {
  for (const int64_t ranks : {1, 2, 3, 5, 6, 7, 8, 16, 33})
    for (const int64_t n : {1, 15, 64, 1024, 1500}) {
      const int64_t stride = (n + 15) / 16 * 16;
      Random random(static_cast<uint32_t>(ranks * n));
      Tensor<float> rows(ranks * stride, random.floats()), to(n);
      const std::vector<unsigned char> before = rows.bytes();
      Launch(rank_sum<RankSum>, n, ranks, {ceil_of(n, rank_sum_chunk)}).extent({stride}).arg(rows).arg(to).run();
      const float* const x = reinterpret_cast<const float*>(before.data());
      int64_t wrong = 0;
      for (int64_t i = 0; i < n; ++i) {
        const std::function<float(int64_t, int64_t)> tree = [&](int64_t first, int64_t count) -> float {
          if (count == 1) return x[first * stride + i];
          int64_t half = 1;
          while (2 * half < count) half *= 2;
          const volatile float left = tree(first, half), right = tree(first + half, count - half);
          return left + right;
        };
        wrong += to[i] != tree(0, ranks);
      }
      CHECK_EQ(wrong, 0);
    }
}
#endif

struct Finite {
  static constexpr int XS_BUFFERS[] = {0, 1, 2}, XS_COUNT = 3, THREADS = 256, Y_BUFFER = 3;
  static constexpr int64_t SIZES[] = {5, 200000, 1};
};
float finite(int which, int64_t at, float bad) {
  Tensor<float> a(5, [](int64_t) { return 1.0f; }), b(200000, [](int64_t i) { return i % 2 ? 3e38f : -3e38f; }), c(1),
      y(1);
  c[0] = -0.0f;
  Tensor<float>* all[] = {&a, &b, &c};
  if (which >= 0) (*all[which])[at] = bad;
  int64_t chunks = 0;
  for (int64_t size : Finite::SIZES) chunks += ceil_of(size, finite_chunk);
  Launch(all_finite<Finite>, 1, 1, {chunks, 1}).workspace(chunks * 4).arg(a).arg(b).arg(c).arg(y).run();
  return y[0];
}
TEST("all_finite") {
  CHECK_EQ(finite(-1, 0, 0), 1.0f);
  for (float bad : {INFINITY, -INFINITY, NAN}) {
    for (int64_t i : {0, 4}) CHECK_EQ(finite(0, i, bad), 0.0f);
    for (int64_t i : {0, 65535, 65536, 131077, 199999}) CHECK_EQ(finite(1, i, bad), 0.0f);
    CHECK_EQ(finite(2, 0, bad), 0.0f);
  }
}

}  // namespace

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
