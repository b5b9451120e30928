// pointwise against loops in f64: every kind of leaf, channel sums and moments, flat domains, odd channel counts.
#include "cpu/pointwise.hpp"

#include "native/kernels/harness.h"

namespace {
using namespace moproc;
using namespace moproc::test;

constexpr float steps[4] = {0.5f, -1.0f, 2.0f, 3.0f};

/// y = (x * channel + group_channel) * row + row_channel * scalar + u8 / 8; sums of y and of x * y; moments
/// of y.
template <int C_, int PIXELS_>
struct Fused {
  static constexpr int C = C_, PIXELS = PIXELS_, FLAT = 0;
  struct Y {
    static constexpr int sums = 2;
    static constexpr int sum_buffer[] = {8, 9};
    static constexpr int mean_buffer = 10, m2_buffer = 11;
    static MOPROC_INLINE Vec store(const Params& p, const At& i, int lanes, Vec, Vec* sum) {
      const Vec x = full<float, C>(p, 0, i, lanes);
      const Vec a = fma(x, channel<float>(p, 1, i, lanes), group_channel<float, C>(p, 2, i, lanes));
      const Vec b = row_channel<float, C>(p, 4, i, lanes) * scalar<float>(p, 5, i, lanes);
      const Vec y = fma(a, row<float>(p, 3, i, lanes), b) + full<uint8_t, C>(p, 6, i, lanes) * Vec(0.125f);
      put<float, C>(p, 7, i, lanes, y);
      sum[0] = y;
      sum[1] = x * y;
      return y;
    }
  };
};

// Tests take sizes as values, because only the kernels need one function per size.

void fused(CpuEntry kernel, int64_t C, int64_t PIXELS, int64_t combining, int64_t rows, int64_t groups) {
  Random random(static_cast<uint32_t>(C * 31 + PIXELS));
  const int64_t n = rows * PIXELS * C, pixels = rows / groups * PIXELS;
  Tensor<float> x(n, random.floats()), channels(C, random.floats()), of_group(groups * C, random.floats()),
      of_row(rows, random.floats()), of_row_channel(rows * C, random.floats()), one(1, random.floats());
  Tensor<uint8_t> bytes(n, [&](int64_t) { return static_cast<uint8_t>(random.below(256)); });
  Tensor<float> y(n), sum(groups * C), dot(groups * C), mean(groups * C), m2(groups * C);
  const int64_t tiles = ceil_of(pixels, pointwise_tile(pixels, C));
  Launch launch(kernel, rows, groups, {groups * tiles, combining});
  launch.workspace(groups * tiles * 4 * padded_channels(C) * 4);
  launch.arg(x).arg(channels).arg(of_group).arg(of_row).arg(of_row_channel).arg(one).arg(bytes);
  launch.arg(y).arg(sum).arg(dot).arg(mean).arg(m2).run();

  const auto want = [&](int64_t e) {
    const int64_t c = e % C, r = e / C / PIXELS, g = r / (rows / groups);
    const double a = double(x[e]) * channels[c] + of_group[g * C + c];
    return a * of_row[r] + double(of_row_channel[r * C + c]) * one[0] + bytes[e] / 8.0;
  };
  check_all("y", y, want, 1e-6, 1e-6);
  const auto over = [&](int64_t gc, auto f) {
    double s = 0;
    for (int64_t i = 0; i < pixels; ++i) s += f((gc / C * pixels + i) * C + gc % C);
    return s;
  };
  const double size = static_cast<double>(pixels);
  check_all("sum", sum, [&](int64_t i) { return over(i, want); }, 1e-6, 1e-5 * size);
  check_all(
      "dot", dot, [&](int64_t i) { return over(i, [&](int64_t e) { return x[e] * want(e); }); }, 1e-6, 1e-5 * size);
  check_all("mean", mean, [&](int64_t i) { return over(i, want) / size; }, 1e-6, 1e-5);
  check_all(
      "m2", m2,
      [&](int64_t i) {
        const double m = over(i, want) / size;
        return over(i, [&](int64_t e) { return (want(e) - m) * (want(e) - m); });
      },
      2e-5, 1e-6);
}

template <int C, int PIXELS>
void fused(int64_t rows, int64_t groups) {
  using K = Fused<C, PIXELS>;
  fused(pointwise<K>, C, PIXELS, combine_tasks<typename K::Y, C>(groups), rows, groups);
}

TEST("every leaf, sums and moments") {
  for (int64_t groups : {1, 2, 4}) {
    fused<1, 5>(8, groups);
    fused<3, 49>(4, groups);
    fused<16, 36>(8, groups);
    fused<40, 7>(4, groups);
    fused<64, 9>(12, groups);
    fused<100, 64>(8, groups);
    fused<130, 1>(64, groups);
    fused<257, 3>(4, groups);
  }
}

/// y = x * x - z, z = bf16; two results; no sums.
template <int C_, int PIXELS_, int FLAT_>
struct Plain {
  static constexpr int C = C_, PIXELS = PIXELS_, FLAT = FLAT_;
  struct Y {
    static constexpr int sums = 0;
    static constexpr int sum_buffer[] = {-1};
    static constexpr int mean_buffer = -1, m2_buffer = -1;
    static MOPROC_INLINE Vec store(const Params& p, const At& i, int lanes, Vec y, Vec*) {
      const Vec x = full<float, C>(p, 0, i, lanes), z = full<bf16, C>(p, 1, i, lanes);
      const Vec t = FLAT || C > 4 ? Vec(1.0f) : table(steps, i, lanes);
      put<float, C>(p, 2, i, lanes, x * x - z * t);
      put<float, C>(p, 0, i, lanes, x + Vec(1.0f));  // in place
      return y;
    }
  };
};

void plain(CpuEntry kernel, int64_t C, int64_t PIXELS, bool FLAT, int64_t rows) {
  Random random(7);
  const int64_t n = rows * PIXELS * C;
  Tensor<float> x(n, random.floats()), y(n);
  Tensor<bf16> z(n, [&](int64_t) { return static_cast<bf16>(0x3f80 + random.below(64)); });
  std::vector<float> before;
  for (int64_t i = 0; i < n; ++i) before.push_back(x[i]);
  const int64_t pixels = rows * PIXELS;
  const int64_t tasks = FLAT ? ceil_of(n, flat_chunk) : ceil_of(pixels, pointwise_tile(pixels, C));
  Launch(kernel, rows, 1, {tasks}).arg(x).arg(z).arg(y).run();
  const auto old = [&](int64_t i) { return double(before[static_cast<size_t>(i)]); };
  check_all("x", x, [&](int64_t i) { return old(i) + 1; }, 1e-7, 1e-7);
  check_all(
      "y", y,
      [&](int64_t i) {
        const double b = 1 + (z[i] - 0x3f80) / 128.0;
        return old(i) * old(i) - b * (FLAT || C > 4 ? 1.0 : steps[i % C]);
      },
      1e-6, 1e-6);
}

template <int C, int PIXELS, int FLAT>
void plain(int64_t rows) {
  plain(pointwise<Plain<C, PIXELS, FLAT>>, C, PIXELS, FLAT, rows);
}

TEST("flat domains, in place, whatever the channels") {
  plain<1, 1, 1>(1);
  plain<3, 5, 1>(1111);
  plain<64, 49, 1>(13);
  plain<50001, 1, 1>(1);
}
TEST("no sums: channel tables and tails") {
  plain<1, 1, 0>(1);
  plain<3, 50, 0>(9);
  plain<4, 1, 0>(77);
  plain<33, 7, 0>(6);
}

}  // namespace

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
