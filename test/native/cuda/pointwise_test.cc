// pointwise against loops in f64: every kind of leaf, f32 and bf16 storage, channel sums and moments of the stored
// values, flat domains, odd channel counts.
#include "cuda/pointwise.cuh"

#include "native/cuda/harness.h"

namespace {
using namespace moproc;
using namespace moproc::test;

constexpr float steps[4] = {0.5f, -1.0f, 2.0f, 3.0f};

template <class T>
struct Stored;
template <>
struct Stored<float> {
  using type = float;
};
template <>
struct Stored<Half> {
  using type = bf16;
};

/// y = (x * channel + group_channel) * row + row_channel * scalar + u8 / 8, stored as T; sums of y and of x * y and
/// moments of y as stored.
template <class T, int C_, int PIXELS_, int SUMS>
struct Fused {
  static constexpr int C = C_, PIXELS = PIXELS_, FLAT = 0, THREADS = 256;
  struct Y {
    using E = typename Stored<T>::type;
    static constexpr int sums = SUMS;
    static constexpr int sum_buffer[] = {SUMS > 0 ? 8 : -1, 9, 12};
    static constexpr int mean_buffer = 10, m2_buffer = 11;
    static MOPROC_INLINE Vec store(const Params& p, const At& i, int lanes, Vec, Vec* sum) {
      const Vec x = full<E, C>(p, 0, i, lanes);
      const Vec a = fma(x, channel<float>(p, 1, i, lanes), group_channel<float, C>(p, 2, i, lanes));
      const Vec b = row_channel<float, C>(p, 4, i, lanes) * scalar<float>(p, 5, i, lanes);
      const Vec y = fma(a, row<float>(p, 3, i, lanes), b) + full<uint8_t, C>(p, 6, i, lanes) * Vec(0.125f);
      put<E, C>(p, 7, i, lanes, y);
      const Vec kept = rounded<E>(y);
      if (SUMS > 0) sum[0] = kept;
      if (SUMS > 1) sum[1] = x * kept;
      if (SUMS > 2) sum[2] = Vec(1.0f);
      return kept;
    }
  };
};

// Tests take sizes as values, because only the kernels need one function per size.

using Entry = void (*)(const Params&);

/// `combining`: tasks of the phase that combines partials; `values`: partials per channel.
template <class T>
void fused(Entry kernel, int64_t C, int64_t PIXELS, int SUMS, int64_t combining, int64_t values, int64_t rows,
           int64_t groups) {
  Random random(static_cast<uint32_t>(C * 31 + PIXELS));
  const int64_t n = rows * PIXELS * C, pixels = rows / groups * PIXELS;
  Tensor<T> x(n, random.floats()), y(n);
  Tensor<float> channels(C, random.floats()), of_group(groups * C, random.floats()), of_row(rows, random.floats()),
      of_row_channel(rows * C, random.floats()), one(1, random.floats());
  Tensor<uint8_t> bytes(n, [&](int64_t) { return static_cast<uint8_t>(random.below(256)); });
  Tensor<float> sum(groups * C), dot(groups * C), mean(groups * C), m2(groups * C), ones(groups * C);
  const int64_t tiles = ceil_of(pixels, pointwise_tile(pixels, C, true));
  Launch launch(kernel, rows, groups, {groups * tiles * pointwise_channel_blocks(C, true), combining});
  launch.workspace(groups * tiles * values * padded_channels(C) * 4);
  launch.arg(x).arg(channels).arg(of_group).arg(of_row).arg(of_row_channel).arg(one).arg(bytes);
  launch.arg(y).arg(sum).arg(dot).arg(mean).arg(m2).arg(ones).run();

  check_all(
      "y", y,
      [&](int64_t e) {
        const int64_t c = e % C, r = e / C / PIXELS, g = r / (rows / groups);
        const double a = double(x[e]) * channels[c] + of_group[g * C + c];
        return a * of_row[r] + double(of_row_channel[r * C + c]) * one[0] + bytes[e] / 8.0;
      },
      sizeof(T) == 2 ? 0x1p-8 : 1e-6, sizeof(T) == 2 ? 1e-5 : 1e-6);
  const auto stored = [&](int64_t e) { return double(y[e]); };
  const auto over = [&](int64_t gc, auto f) {
    double s = 0;
    for (int64_t i = 0; i < pixels; ++i) s += f((gc / C * pixels + i) * C + gc % C);
    return s;
  };
  const double size = static_cast<double>(pixels);
  if (SUMS > 0) check_all("sum", sum, [&](int64_t i) { return over(i, stored); }, 1e-6, 1e-6 * size);
  if (SUMS > 1)
    check_all(
        "dot", dot, [&](int64_t i) { return over(i, [&](int64_t e) { return x[e] * stored(e); }); }, 1e-6, 1e-6 * size);
  if (SUMS > 2) check_all("ones", ones, [&](int64_t) { return size; }, 0, 0);
  check_all("mean", mean, [&](int64_t i) { return over(i, stored) / size; }, 1e-6, 2e-6);
  check_all(
      "m2", m2,
      [&](int64_t i) {
        const double m = over(i, stored) / size;
        return over(i, [&](int64_t e) { return (y[e] - m) * (y[e] - m); });
      },
      1e-5, 1e-6);
}

template <class T, int C, int PIXELS, int SUMS = 2>
void fused(int64_t rows, int64_t groups) {
  using K = Fused<T, C, PIXELS, SUMS>;
  const int64_t combining = combine_tasks<typename K::Y, C>(groups);
  fused<T>(pointwise<K>, C, PIXELS, SUMS, combining, partial_values<typename K::Y>, rows, groups);
}

template <class T>
void shapes() {
  for (int64_t groups : {1, 2, 4}) {
    fused<T, 8, 49>(8, groups);
    fused<T, 16, 36, 0>(8, groups);
    fused<T, 40, 7, 3>(4, groups);
    fused<T, 64, 9>(12, groups);
    fused<T, 136, 50, 1>(64, groups);
    fused<T, 2048, 3>(4, groups);
  }
  fused<T, 64, 3136>(8, 2);  // several tiles
}
TEST("f32: every leaf, sums and moments") { shapes<float>(); }
TEST("bf16: every leaf, sums and moments") { shapes<Half>(); }
TEST("odd channel counts") {
  for (int64_t groups : {1, 2, 4}) {
    fused<float, 1, 5>(8, groups);
    fused<float, 3, 49>(4, groups);
    fused<float, 10, 1>(64, groups);
    fused<float, 100, 64>(8, groups);
    fused<float, 130, 1, 3>(64, groups);
    fused<float, 257, 3>(4, groups);
  }
  fused<float, 3, 1001>(400, 2);
}

/// y = x * x - z * table, x + 1 in place; no sums.
template <class T, int C_, int PIXELS_, int FLAT_>
struct Plain {
  static constexpr int C = C_, PIXELS = PIXELS_, FLAT = FLAT_, THREADS = 256, L = FLAT ? 0 : C;
  struct Y {
    using E = typename Stored<T>::type;
    static constexpr int sums = 0;
    static constexpr int sum_buffer[] = {-1};
    static constexpr int mean_buffer = -1, m2_buffer = -1;
    static MOPROC_INLINE Vec store(const Params& p, const At& i, int lanes, Vec y, Vec*) {
      const Vec x = full<E, L>(p, 0, i, lanes), z = full<bf16, L>(p, 1, i, lanes);
      const Vec t = FLAT || C > 4 ? Vec(1.0f) : table(steps, i, lanes);
      put<float, L>(p, 2, i, lanes, x * x - z * t);
      put<int64_t, L>(p, 3, i, lanes, round(z * Vec(64.0f)));
      put<E, L>(p, 0, i, lanes, x + Vec(1.0f));
      return y;
    }
  };
};

template <class T>
void plain(Entry kernel, int64_t C, int64_t PIXELS, bool FLAT, int64_t rows) {
  Random random(7);
  const int64_t n = rows * PIXELS * C, pixels = rows * PIXELS;
  Tensor<T> x(n, random.floats());
  const Tensor<T> before = x;
  Tensor<Half> z(n, [&](int64_t) { return 1 + static_cast<float>(random.below(64)) / 128; });
  Tensor<float> y(n);
  Tensor<int64_t> whole(n);
  const int64_t tasks = FLAT ? ceil_of(n, flat_chunk)
                             : ceil_of(pixels, pointwise_tile(pixels, C, false)) * pointwise_channel_blocks(C, false);
  Launch(kernel, rows, 1, {tasks}).arg(x).arg(z).arg(y).arg(whole).run();
  check_all("x", x, [&](int64_t i) { return double(T(float(before[i]) + 1)); }, 1e-7, 1e-7);
  check_all(
      "y", y,
      [&](int64_t i) { return double(before[i]) * before[i] - double(z[i]) * (FLAT || C > 4 ? 1.0 : steps[i % C]); },
      1e-6, 1e-6);
  check_all("whole", whole, [&](int64_t i) { return std::nearbyint(z[i] * 64.0); }, 0, 0);
}

template <class T, int C, int PIXELS, int FLAT>
void plain(int64_t rows) {
  plain<T>(pointwise<Plain<T, C, PIXELS, FLAT>>, C, PIXELS, FLAT, rows);
}

TEST("flat domains, in place, whatever the channels") {
  plain<float, 1, 1, 1>(1);
  plain<Half, 3, 5, 1>(1111);
  plain<float, 64, 49, 1>(13);
  plain<Half, 50001, 1, 1>(1);
  plain<float, 64, 256, 1>(2);
}
TEST("no sums: channel tables and tails") {
  plain<float, 1, 1, 0>(1);
  plain<float, 3, 50, 0>(9);
  plain<float, 4, 1, 0>(77);
  plain<float, 33, 7, 0>(6);
  plain<Half, 8, 7, 0>(600);
  plain<Half, 72, 7, 0>(6);
  plain<Half, 2064, 5, 0>(3);
  plain<float, 4104, 1, 0>(5);
}

}  // namespace

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
