// max_pool, max_pool_grad and global_avg_pool against loops in f64: ties, NaN, padding, prologues, sums, groups.
#include "cpu/global_avg_pool.hpp"
#include "cpu/max_pool.hpp"
#include "cpu/max_pool_grad.hpp"

#include "native/kernels/harness.h"

namespace {
using namespace moproc;
using namespace moproc::test;

struct None {
  static constexpr int sums = 0;
  static constexpr int sum_buffer[] = {-1};
  static constexpr int mean_buffer = -1, m2_buffer = -1;
};

template <int C_, int H_, int W_, int KERNEL_, int STRIDE_, int PAD_, bool FUSED>
struct Shape {
  static constexpr int C = C_, H = H_, W = W_, KERNEL = KERNEL_, STRIDE = STRIDE_, PAD = PAD_;
  static constexpr int P = (H + 2 * PAD - KERNEL) / STRIDE + 1, Q = (W + 2 * PAD - KERNEL) / STRIDE + 1;
  struct X {  // buffer 0; fused: x * channel, buffer 1
    static constexpr int buffer = FUSED ? -1 : 0;
    using stored = float;
    static MOPROC_INLINE Vec load(const Params& p, const At& i, int lanes) {
      return full<float, C>(p, 0, i, lanes) * group_channel<float, C>(p, 1, i, lanes);
    }
  };
};

template <class S>
struct Pool : S {
  struct Y : None {  // buffer 2
    static MOPROC_INLINE Vec store(const Params& p, const At& i, int lanes, Vec y, Vec*) {
      put<float, S::C>(p, 2, i, lanes, y + Vec(0.5f));
      return y;
    }
  };
};

template <class S>
struct Grad : S {
  struct Dy {  // buffer 2, negated
    static constexpr int buffer = -1;
    static MOPROC_INLINE Vec load(const Params& p, const At& i, int lanes) {
      return -full<float, S::C>(p, 2, i, lanes);
    }
  };
  struct Y {
    static constexpr int sums = 2;
    static constexpr int sum_buffer[] = {4, 5};
    static constexpr int mean_buffer = 6, m2_buffer = 7;
    static MOPROC_INLINE Vec store(const Params& p, const At& i, int lanes, Vec y, Vec* sum) {
      put<float, S::C>(p, 3, i, lanes, y);
      sum[0] = y;
      sum[1] = y * full<float, S::C>(p, 0, i, lanes);
      return y;
    }
  };
};

// Tests take sizes as values, because only the kernels need one function per size.
struct Sizes {
  int64_t C, H, W, P, Q, KERNEL, STRIDE, PAD;
  bool FUSED;
};

/// Element of x that wins window (n, p, q, c), and its value: PyTorch's rule.
template <class F>
std::pair<int64_t, double> winner(const Sizes& s, F value, int64_t window) {
  const int64_t c = window % s.C, q = window / s.C % s.Q, p = window / s.C / s.Q % s.P, n = window / s.C / s.Q / s.P;
  std::pair<int64_t, double> best{-1, 0};
  for (int64_t h = p * s.STRIDE - s.PAD; h < p * s.STRIDE - s.PAD + s.KERNEL; ++h)
    for (int64_t w = q * s.STRIDE - s.PAD; w < q * s.STRIDE - s.PAD + s.KERNEL; ++w) {
      if (h < 0 || h >= s.H || w < 0 || w >= s.W) continue;
      const int64_t e = ((n * s.H + h) * s.W + w) * s.C + c;
      if (best.first < 0 || value(e) > best.second || std::isnan(value(e))) best = {e, value(e)};
    }
  return best;
}

/// `combining`: tasks of the gradient's second phase.
void pool(const Sizes& s, CpuEntry forward, CpuEntry backward, int64_t combining, int64_t n, int64_t groups) {
  Random random(s.C * 100 + s.H);
  const int64_t in = n * s.H * s.W * s.C, out = n * s.P * s.Q * s.C, image = s.H * s.W * s.C;
  Tensor<float> x(in, [&](int64_t i) {  // small integers: many ties; here and there NaN or -infinity
    return i % 211 == 17 ? NAN : i % 7 == 0 ? -INFINITY : static_cast<float>(random.below(4));
  });
  Tensor<float> scale(groups * s.C, [&](int64_t) { return static_cast<float>(1 + random.below(2)); });
  const auto value = [&](int64_t e) {
    return x[e] * (s.FUSED ? double(scale[e / image / (n / groups) * s.C + e % s.C]) : 1.0);
  };

  Tensor<float> y(out);
  Launch(forward, n, groups, {n * s.P}).arg(x).arg(scale).arg(y).run();
  check_all("max_pool", y, [&](int64_t i) { return winner(s, value, i).second + 0.5; }, 0, 0);

  const int64_t tiles = n / groups * ceil_of(s.H, pool_tile);
  Tensor<float> dy(out, random.floats()), dx(in), sum(groups * s.C), dot(groups * s.C), mean(groups * s.C),
      m2(groups * s.C);
  for (int64_t i = 0; i < in; ++i)
    if (!std::isfinite(x[i])) x[i] = i % 3 == 0 ? 0.0f : 3.0f;  // the dot must stay finite
  Launch launch(backward, n, groups, {groups * tiles, combining});
  launch.scratch(pool_scratch(s.KERNEL, s.STRIDE, s.P, s.Q)).workspace(groups * tiles * 4 * padded_channels(s.C) * 4);
  launch.arg(x).arg(scale).arg(dy).arg(dx).arg(sum).arg(dot).arg(mean).arg(m2).run();
  std::vector<double> want(static_cast<size_t>(in));
  for (int64_t i = 0; i < out; ++i) want[static_cast<size_t>(winner(s, value, i).first)] -= dy[i];
  const auto exact = [&](int64_t e) { return want[static_cast<size_t>(e)]; };
  check_all("dx", dx, exact, 1e-6, 1e-6);
  const int64_t pixels = n / groups * s.H * s.W;
  const auto over = [&](int64_t gc, auto f) {
    double total = 0;
    for (int64_t i = 0; i < pixels; ++i) total += f((gc / s.C * pixels + i) * s.C + gc % s.C);
    return total;
  };
  const double size = double(pixels);
  check_all("sum", sum, [&](int64_t i) { return over(i, exact); }, 1e-6, 1e-6 * size);
  check_all(
      "dot", dot, [&](int64_t i) { return over(i, [&](int64_t e) { return exact(e) * x[e]; }); }, 1e-6, 3e-6 * size);
  check_all("mean", mean, [&](int64_t i) { return over(i, exact) / size; }, 1e-6, 1e-6);
  check_all(
      "m2", m2,
      [&](int64_t i) {
        const double m = over(i, exact) / size;
        return over(i, [&](int64_t e) { return (exact(e) - m) * (exact(e) - m); });
      },
      1e-5, 1e-6);
}

template <int C, int H, int W, int KERNEL, int STRIDE, int PAD, bool FUSED>
void pool(int64_t n, int64_t groups) {
  using S = Shape<C, H, W, KERNEL, STRIDE, PAD, FUSED>;
  pool({C, H, W, S::P, S::Q, KERNEL, STRIDE, PAD, FUSED}, max_pool<Pool<S>>, max_pool_grad<Grad<S>>,
       combine_tasks<typename Grad<S>::Y, C>(groups), n, groups);
}

TEST("max_pool and its gradient") {
  pool<64, 16, 16, 3, 2, 1, false>(2, 1);
  pool<64, 15, 17, 3, 2, 1, true>(4, 2);
  pool<3, 9, 11, 2, 2, 0, true>(4, 4);
  pool<70, 10, 9, 3, 1, 1, true>(2, 1);
  pool<130, 7, 7, 5, 2, 2, false>(2, 2);
  pool<8, 20, 6, 2, 3, 0, false>(3, 1);  // windows with gaps between them
  pool<5, 1, 1, 1, 1, 0, false>(2, 1);
  pool<17, 33, 5, 3, 2, 1, true>(8, 4);
}

TEST("an infinite gradient stays in its window") {
  using S = Shape<4, 4, 4, 2, 2, 0, false>;
  Tensor<float> x(64, [](int64_t i) { return static_cast<float>(i); }), scale(4),
      dy(16, [](int64_t i) { return i == 5 ? INFINITY : 1.0f; });
  Tensor<float> dx(64), sum(4), dot(4), mean(4), m2(4);
  Launch launch(max_pool_grad<Grad<S>>, 1, 1, {1, combine_tasks<typename Grad<S>::Y, 4>(1)});
  launch.scratch(pool_scratch(2, 2, 2, 2)).workspace(4 * 16 * 4);
  launch.arg(x).arg(scale).arg(dy).arg(dx).arg(sum).arg(dot).arg(mean).arg(m2).run();
  for (int64_t i = 0; i < 64; ++i) {
    const int64_t h = i / 16, w = i / 4 % 4, window = (h / 2 * 2 + w / 2) * 4 + i % 4;
    CHECK_EQ(dx[i], h % 2 == 1 && w % 2 == 1 ? -dy[window] : 0.0f);
  }
}

template <int C_, int PIXELS_>
struct Average {
  static constexpr int C = C_, PIXELS = PIXELS_;
  struct X {
    static constexpr int buffer = -1;
    static MOPROC_INLINE Vec load(const Params& p, const At& i, int lanes) {
      return max(full<float, C>(p, 0, i, lanes) + group_channel<float, C>(p, 1, i, lanes), Vec(0.0f));
    }
  };
  struct Y : None {
    static MOPROC_INLINE Vec store(const Params& p, const At& i, int lanes, Vec y, Vec*) {
      put<float, C>(p, 2, i, lanes, y);
      return y;
    }
  };
};

template <int C, int PIXELS>
void average(int64_t n, int64_t groups) {
  Random random(C);
  Tensor<float> x(n * PIXELS * C, random.floats()), shift(groups * C, random.floats()), y(n * C);
  Launch(global_avg_pool<Average<C, PIXELS>>, n, groups, {n * ceil_of(C, average_channels)})
      .arg(x)
      .arg(shift)
      .arg(y)
      .run();
  check_all(
      "y", y,
      [&](int64_t i) {
        double s = 0;
        for (int64_t j = 0; j < PIXELS; ++j)
          s += std::max(0.0, double(x[(i / C * PIXELS + j) * C + i % C]) + shift[i / C / (n / groups) * C + i % C]);
        return s / PIXELS;
      },
      2e-6, 1e-7);
}
TEST("global_avg_pool") {
  average<64, 49>(4, 2);
  average<3, 1>(2, 1);
  average<100, 1000>(4, 4);
  average<513, 64>(2, 1);
}

}  // namespace

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
