// The convolution templates against naive convolutions in f64, for the shapes, tile constants and launch sizes that the
// TypeScript side chose (conv_cases.inc), in f32 and in bf16: operands read in place, prologues, epilogues with sums
// and moments, groups. Operands in bf16 are rounded first, so that the same tolerances hold. With MOPROC_TEST_AMX: in
// bf16 by the tiles of AMX, or by the code that stands for them if this CPU has none.
#include "common/element.h"
#include "cpu/conv_dgrad.hpp"
#include "cpu/conv_fprop.hpp"
#include "cpu/conv_wgrad.hpp"
#include "cpu/pack_conv.hpp"
#ifdef __AMX_BF16__
#include "cpu/amx.h"
#endif

#include "native/kernels/harness.h"

namespace {
using namespace moproc;
using namespace moproc::test;

#include "conv_cases.inc"

/// Operands: buffer B as it is, or max(x * group_channel(B + 1) + group_channel(B + 2), 0), or x * channel(B
/// + 1).
enum class Pre { Plain, AffineRelu, Scale };
template <class T, int C, int B, Pre pre>
struct Operand {
  static constexpr int buffer = pre == Pre::Plain ? B : -1;
  using stored = T;
  static MOPROC_INLINE Vec load(const Params& p, const At& i, int lanes) {
    const Vec x = full<T, C>(p, B, i, lanes);
    if (pre == Pre::Scale) return x * channel<float>(p, B + 1, i, lanes);
    const Vec a = group_channel<float, C>(p, B + 1, i, lanes);
    const Vec b = group_channel<float, C>(p, B + 2, i, lanes);
    return max(fma(x, a, b), Vec(0.0f));
  }
};

/// Results: stored as they are; or passed where the aux tensor is positive, with sums of it and of it times
/// aux; or times a value of the row, with the sum of squares and moments. Buffers from B: y, aux, sum, sum,
/// mean, M2.
enum class Post { Plain, MaskSums, Moments };
template <int C, int B, Post post>
struct Result {
  static constexpr int sums = post == Post::Plain ? 0 : post == Post::MaskSums ? 2 : 1;
  static constexpr int sum_buffer[] = {B + 2, B + 3};
  static constexpr int mean_buffer = post == Post::Moments ? B + 4 : -1;
  static constexpr int m2_buffer = post == Post::Moments ? B + 5 : -1;
  static MOPROC_INLINE Vec store(const Params& p, const At& i, int lanes, Vec y, Vec* sum) {
    Vec v = y;
    if constexpr (post == Post::MaskSums) {
      const Vec aux = full<float, C>(p, B + 1, i, lanes);
      v = select(aux > Vec(0.0f), y, Vec(0.0f));
      sum[0] = v;
      sum[1] = v * aux;
    } else if constexpr (post == Post::Moments) {
      v = y + row_channel<float, C>(p, B + 1, i, lanes);
      sum[0] = v * v;
    }
    put<float, C>(p, B, i, lanes, v);
    return v;
  }
};

template <class S>
using Stored = typename S::Element::stored;
template <class S>
constexpr bool is_bf16 = S::Element::per_word == 2;
/// x as the kernels of S multiply it.
template <class S>
float multiplied(float x) {
  return is_bf16<S> ? value_(bfloat(x)) : x;
}
/// Weights as the kernels of S multiply them.
template <class S>
Tensor<float> seen(const Tensor<float>& w) {
  return Tensor<float>(w.size(), [&](int64_t i) { return multiplied<S>(w[i]); });
}
template <class T>
T stored_as(float x) {
  if constexpr (std::is_same_v<T, float>) return x;
  else return bfloat(x).bits;
}
template <class T>
float value_of(T x) {
  if constexpr (std::is_same_v<T, float>) return x;
  else return value_(BFloat{x});
}

template <class S, Pre pre, Post post>
struct FpropKernel : S {
  using X = Operand<Stored<S>, S::C, 0, pre>;
  static constexpr int W_BUFFER = 3;
  using Y = Result<S::OUT, 4, post>;
};
template <class S, Pre pre, Post post>
struct DgradKernel : S {
  using Dy = Operand<Stored<S>, S::OUT, 0, pre>;
  static constexpr int W_BUFFER = 3;
  using Y = Result<S::C, 4, post>;
};
template <class S, Pre pre_dy, Pre pre_x>
struct WgradKernel : S {
  using Dy = Operand<Stored<S>, S::OUT, 0, pre_dy>;
  using X = Operand<Stored<S>, S::C, 3, pre_x>;
  static constexpr int DW_BUFFER = 6;
};
template <class S>
struct PackKernel : S {
  static constexpr int W_BUFFER = 0, PACKED_BUFFER = 1;
};

/// An (n, pixels, c) operand with its per-channel partners, and its value after the prologue.
template <class S>
struct Source {
  Tensor<Stored<S>> x;
  Tensor<float> a, b, seen;
  Source(int64_t n, int64_t pixels, int64_t c, int64_t groups, Pre pre, Random& random)
      : x(n * pixels * c, [f = random.floats()](int64_t i) { return stored_as<Stored<S>>(f(i)); }),
        a(groups * c, random.floats()),
        b(groups * c, random.floats()),
        seen(n * pixels * c) {
    for (int64_t i = 0; i < x.size(); ++i) {
      const int64_t group = i / c / pixels / (n / groups), gc = group * c + i % c;
      const float v = value_of(x[i]);
      if (pre == Pre::Plain) seen[i] = v;
      else seen[i] = multiplied<S>(pre == Pre::Scale ? v * a[i % c] : std::max(std::fma(v, a[gc], b[gc]), 0.0f));
    }
  }
};

/// The sizes of a case as values, because the naive convolutions are compiled once for all cases.
struct Sizes {
  int64_t c, h, w, out, p, q, r, s, stride, pad;
};
template <class S>
constexpr Sizes sizes = {S::C, S::H, S::W, S::OUT, S::P, S::Q, S::R, S::S, S::STRIDE, S::PAD};

/// Calls f(x index, w index, y index) for the runs over c of every tap inside the image; the c part of x and
/// w is added by the caller.
template <class F>
void each_tap(const Sizes& d, int64_t images, F f) {
  for (int64_t n = 0; n < images; ++n)
    for (int64_t p = 0; p < d.p; ++p)
      for (int64_t q = 0; q < d.q; ++q)
        for (int64_t r = 0; r < d.r; ++r)
          for (int64_t s = 0; s < d.s; ++s) {
            const int64_t h = p * d.stride + r - d.pad, w = q * d.stride + s - d.pad;
            if (h < 0 || h >= d.h || w < 0 || w >= d.w) continue;
            const int64_t x = (n * d.h + h) * d.w + w, y = (n * d.p + p) * d.q + q;
            f(x * d.c, (r * d.s + s) * d.c, y * d.out);
          }
}

/// The three convolutions in f64, from operands after their prologues.
using Values = std::vector<double>;
Values naive_fprop(const Sizes& d, int64_t images, const Tensor<float>& x, const Tensor<float>& w) {
  Values y(static_cast<size_t>(images * d.p * d.q * d.out));
  each_tap(d, images, [&](int64_t xi, int64_t wi, int64_t yi) {
    for (int64_t k = 0; k < d.out; ++k) {
      double sum = 0;
      for (int64_t c = 0; c < d.c; ++c) sum += double(x[xi + c]) * w[k * d.r * d.s * d.c + wi + c];
      y[static_cast<size_t>(yi + k)] += sum;
    }
  });
  return y;
}
Values naive_dgrad(const Sizes& d, int64_t images, const Tensor<float>& dy, const Tensor<float>& w) {
  Values dx(static_cast<size_t>(images * d.h * d.w * d.c));
  each_tap(d, images, [&](int64_t xi, int64_t wi, int64_t yi) {
    for (int64_t k = 0; k < d.out; ++k)
      for (int64_t c = 0; c < d.c; ++c)
        dx[static_cast<size_t>(xi + c)] += double(dy[yi + k]) * w[k * d.r * d.s * d.c + wi + c];
  });
  return dx;
}
Values naive_wgrad(const Sizes& d, int64_t images, const Tensor<float>& dy, const Tensor<float>& x) {
  Values dw(static_cast<size_t>(d.out * d.r * d.s * d.c));
  each_tap(d, images, [&](int64_t xi, int64_t wi, int64_t yi) {
    for (int64_t k = 0; k < d.out; ++k)
      for (int64_t c = 0; c < d.c; ++c)
        dw[static_cast<size_t>(k * d.r * d.s * d.c + wi + c)] += double(dy[yi + k]) * x[xi + c];
  });
  return dw;
}

/// Checks the result, sums and moments of an epilogue given the raw results in f64; `terms` products went
/// into each.
template <Post post, class Buffers>
void check_epilogue(Buffers& o, const std::vector<double>& raw, int64_t c, int64_t images, int64_t groups,
                    int64_t terms) {
  const int64_t size = static_cast<int64_t>(raw.size()), per_group = size / groups, image = size / images;
  std::vector<double> want(raw.size()), sum(groups * c), sum2(groups * c), mean(groups * c), m2(groups * c);
  for (int64_t i = 0; i < size; ++i) {
    const int64_t gc = i / per_group * c + i % c;
    double v = raw[i];
    if (post == Post::MaskSums) v = o.aux[i] > 0 ? v : 0;
    if (post == Post::Moments) v += o.aux[i / image * c + i % c];
    want[i] = v;
    sum[gc] += post == Post::Moments ? v * v : v;
    sum2[gc] += v * o.aux[post == Post::MaskSums ? i : 0];
    mean[gc] += v / static_cast<double>(per_group / c);
  }
  for (int64_t i = 0; i < size; ++i) {
    const int64_t gc = i / per_group * c + i % c;
    m2[gc] += (want[i] - mean[gc]) * (want[i] - mean[gc]);
  }
  // A sum of n products of this size wanders to 0.3 sqrt(n), and n roundings of that add up to about 0.7e-8 n.
  const double one = 4e-8 * static_cast<double>(terms) + 2e-6;
  const double all = one * 4 * std::sqrt(static_cast<double>(per_group / c));
  check_all("result", o.y, [&](int64_t i) { return want[i]; }, 2e-6, one);
  if (post == Post::MaskSums) {
    check_all("sum", o.sum, [&](int64_t i) { return sum[i]; }, 2e-6, all);
    check_all("sum of products", o.sum2, [&](int64_t i) { return sum2[i]; }, 2e-6, all);
  }
  if (post == Post::Moments) {
    check_all("sum of squares", o.sum, [&](int64_t i) { return sum[i]; }, 1e-5, all);
    check_all("mean", o.mean, [&](int64_t i) { return mean[i]; }, 2e-6, one);
    check_all("M2", o.m2, [&](int64_t i) { return m2[i]; }, 1e-5, all);
  }
}

struct Output {
  Tensor<float> y, aux, sum, sum2, mean, m2;
  Output(int64_t n, int64_t c, int64_t groups, Random& random)
      : y(n), aux(n, random.floats()), sum(groups * c), sum2(groups * c), mean(groups * c), m2(groups * c) {}
  void add(Launch& l) { l.arg(y).arg(aux).arg(sum).arg(sum2).arg(mean).arg(m2); }
};

/// A launch of the size that the TypeScript side gives for one of the epilogues.
struct Sized : Launch {
  Sized(CpuEntry entry, int64_t images, int64_t groups, const LaunchSize& size)
      : Launch(entry, images, groups, {size.tasks[0], size.tasks[1]}) {
    workspace(size.workspace).scratch(size.scratch);
  }
};

/// Weights packed by a template.
template <class S>
struct Packed : Tensor<float> {
  Packed(CpuEntry entry, Tensor<float>& w) : Tensor<float>(S::packed) {
    Sized(entry, 1, 1, S::launch[0]).arg(w).arg(*this).run();
  }
};

template <class Case, Pre pre, Post post>
void fprop() {
  using S = std::conditional_t<post == Post::Plain, typename Case::FpropWithoutSums, typename Case::Fprop>;
  using K = FpropKernel<S, pre, post>;
  Random random(1);
  const int64_t n = Case::images, g = Case::groups, taps = S::R * S::S * S::C;
  Source<S> x(n, S::H * S::W, S::C, g, pre, random);
  Tensor<float> w(S::OUT * taps, random.floats());
  Packed<typename Case::PackFprop> pw(pack_conv_fprop<PackKernel<typename Case::PackFprop>>, w);
  Output o(n * S::P * S::Q * S::OUT, S::OUT, g, random);
  Sized launch(conv_fprop<K>, n, g, S::launch[static_cast<int>(post)]);
  launch.arg(x.x).arg(x.a).arg(x.b).arg(pw);
  o.add(launch);
  launch.run();
  const Values want = naive_fprop(sizes<S>, n, x.seen, seen<S>(w));
  check_epilogue<post>(o, want, S::OUT, n, g, taps);
}

template <class Case, Pre pre, Post post>
void dgrad() {
  using S = typename Case::Dgrad;
  using K = DgradKernel<S, pre, post>;
  Random random(2);
  const int64_t n = Case::images, g = Case::groups, taps = S::R * S::S * S::C;
  Source<S> dy(n, S::P * S::Q, S::OUT, g, pre, random);
  Tensor<float> w(S::OUT * taps, random.floats());
  Packed<typename Case::PackDgrad> pw(pack_conv_dgrad<PackKernel<typename Case::PackDgrad>>, w);
  Output o(n * S::H * S::W * S::C, S::C, g, random);
  Sized launch(conv_dgrad<K>, n, g, S::launch[static_cast<int>(post)]);
  launch.arg(dy.x).arg(dy.a).arg(dy.b).arg(pw);
  o.add(launch);
  launch.run();
  const Values want = naive_dgrad(sizes<S>, n, dy.seen, seen<S>(w));
  check_epilogue<post>(o, want, S::C, n, g, S::R * S::S * S::OUT);
}

template <class Case, Pre pre_dy, Pre pre_x>
void wgrad() {
  using S = typename Case::Wgrad;
  using K = WgradKernel<S, pre_dy, pre_x>;
  Random random(3);
  const int64_t n = Case::images, g = Case::groups, taps = S::R * S::S * S::C;
  Source<S> dy(n, S::P * S::Q, S::OUT, g, pre_dy, random), x(n, S::H * S::W, S::C, g, pre_x, random);
  Tensor<float> dw(S::OUT * taps);
  Sized launch(conv_wgrad<K>, n, g, S::launch[0]);
  launch.arg(dy.x).arg(dy.a).arg(dy.b).arg(x.x).arg(x.a).arg(x.b).arg(dw).run();
  const Values want = naive_wgrad(sizes<S>, n, dy.seen, x.seen);
  const double tolerance = 1e-6 * std::sqrt(static_cast<double>(n * S::P * S::Q)) + 1e-6;
  check_all("dw", dw, [&](int64_t i) { return want[static_cast<size_t>(i)]; }, 2e-6, tolerance);
}

/// Every case runs plain and with a prologue; the epilogues alternate, so that each meets every kind of
/// shape.
template <class Case, bool odd>
void all() {
  fprop<Case, Pre::Plain, Post::Plain>();
  dgrad<Case, Pre::Plain, Post::Plain>();
  if constexpr (odd) {
    fprop<Case, Pre::AffineRelu, Post::MaskSums>();
    dgrad<Case, Pre::Scale, Post::Moments>();
    wgrad<Case, Pre::AffineRelu, Pre::Plain>();
  } else {
    fprop<Case, Pre::Scale, Post::Moments>();
    dgrad<Case, Pre::AffineRelu, Post::MaskSums>();
    wgrad<Case, Pre::Scale, Pre::AffineRelu>();
    wgrad<Case, Pre::Plain, Pre::Plain>();
  }
}

/// A group's result is the same bits alone as beside other groups.
template <class Case>
void alone() {
  using S = typename Case::Fprop;
  using K = FpropKernel<S, Pre::Scale, Post::Moments>;
  Random random(4);
  const int64_t n = Case::images, g = Case::groups, pixels = S::P * S::Q;
  Source<S> x(n, S::H * S::W, S::C, 1, Pre::Scale, random);
  Tensor<float> w(S::OUT * S::R * S::S * S::C, random.floats());
  Packed<typename Case::PackFprop> pw(pack_conv_fprop<PackKernel<typename Case::PackFprop>>, w);
  Output o(n * pixels * S::OUT, S::OUT, g, random);
  Sized together(conv_fprop<K>, n, g, S::launch[2]);
  together.arg(x.x).arg(x.a).arg(x.b).arg(pw);
  o.add(together);
  together.run();
  const int64_t per = n / g, last = (g - 1) * per, size = per * pixels * S::OUT;
  Tensor<Stored<S>> own(per * S::H * S::W * S::C, [&](int64_t i) { return x.x[last * S::H * S::W * S::C + i]; });
  Output single(size, S::OUT, 1, random);
  for (int64_t i = 0; i < per * S::OUT; ++i) single.aux[i] = o.aux[last * S::OUT + i];
  LaunchSize part = S::launch[2];
  part.tasks[0] /= g, part.tasks[1] /= g, part.workspace /= g;
  Sized one(conv_fprop<K>, per, 1, part);
  one.arg(own).arg(x.a).arg(x.b).arg(pw);
  single.add(one);
  one.run();
  CHECK(std::memcmp(&single.y[0], &o.y[last * pixels * S::OUT], static_cast<size_t>(size) * 4) == 0);
  CHECK(std::memcmp(&single.mean[0], &o.mean[(g - 1) * S::OUT], S::OUT * 4) == 0);
  CHECK(std::memcmp(&single.m2[0], &o.m2[(g - 1) * S::OUT], S::OUT * 4) == 0);
  CHECK(std::memcmp(&single.sum[0], &o.sum[(g - 1) * S::OUT], S::OUT * 4) == 0);
}

// One test a case, named by it.
#ifdef MOPROC_TEST_AMX
#define CASE(i)                                                                         \
  const Register register_##i(AmxCase##i::name, [] { all<AmxCase##i, i % 2 != 0>(); }); \
  const Register register_other_##i(AmxCase##i::name, [] { all<AmxCase##i, i % 2 == 0>(); });
#else
#define CASE(i)                                                                   \
  const Register register_##i(Case##i::name, [] { all<Case##i, i % 2 != 0>(); }); \
  const Register register_bf16_##i(Bf16Case##i::name, [] { all<Bf16Case##i, i % 2 == 0>(); });
#endif
ALL_CASES
#undef CASE

TEST("a group alone gives the bits it gives beside others") {
  int tried = 0;
#ifdef MOPROC_TEST_AMX
#define CASE(i) \
  if (AmxCase##i::groups > 1) alone<AmxCase##i>(), ++tried;
#else
#define CASE(i) \
  if (Case##i::groups > 1) alone<Case##i>(), alone<Bf16Case##i>(), ++tried;
#endif
  ALL_CASES
#undef CASE
  CHECK(tried > 3);
}

}  // namespace

int main(int argc, char** argv) {
#ifdef __AMX_BF16__
  if (!moproc::has_amx()) return std::puts("Bail out! the kernel does not allow AMX"), 1;
#endif
  return moproc::test::run(argc, argv);
}
