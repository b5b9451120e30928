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

#include "native/kernels/conv_reference.h"

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

/// The types in which operands are stored: float, or the words of bf16.
template <class S>
using Stored = typename S::Element::stored;
/// x as kernels multiply it whose operands are stored as T.
template <class T>
float multiplied(float x) {
  if constexpr (std::is_same_v<T, float>) return x;
  else return value_(bfloat(x));
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

// From here on a case consists of values, because everything but its kernels is compiled once, for f32 and for bf16.

template <class Case, class S>
constexpr Sizes sizes = {Case::images, Case::groups, S::C, S::H, S::W,      S::OUT,
                         S::P,         S::Q,         S::R, S::S, S::STRIDE, S::PAD};

/// A kernel with its launch sizes, one per epilogue, and the words that it packs.
struct Kernel {
  CpuEntry entry;
  const LaunchSize* launch;
  int64_t packed;
};
template <class S>
Kernel kernel(CpuEntry entry) {
  return {entry, S::launch, S::packed};
}

/// An (n, pixels, c) operand with its per-channel partners, and its value after the prologue.
template <class T>
struct Source {
  Tensor<T> x;
  Tensor<float> a, b, seen;
  Source(int64_t n, int64_t pixels, int64_t c, int64_t groups, Pre pre, Random& random)
      : x(n * pixels * c, [f = random.floats()](int64_t i) { return stored_as<T>(f(i)); }),
        a(groups * c, random.floats()),
        b(groups * c, random.floats()),
        seen(n * pixels * c) {
    for (int64_t i = 0; i < x.size(); ++i) {
      const int64_t group = i / c / pixels / (n / groups), gc = group * c + i % c;
      const float v = value_of(x[i]);
      if (pre == Pre::Plain) seen[i] = v;
      else seen[i] = multiplied<T>(pre == Pre::Scale ? v * a[i % c] : std::max(std::fma(v, a[gc], b[gc]), 0.0f));
    }
  }
};

/// Weights, as the kernels multiply them, and packed by a template.
template <class T>
struct Weights {
  Tensor<float> w, seen, packed;
  Weights(int64_t n, Kernel pack, Random& random);
};

struct Output {
  Tensor<float> y, aux, sum, sum2, mean, m2;
  Output(int64_t n, int64_t c, int64_t groups, Random& random)
      : y(n), aux(n, random.floats()), sum(groups * c), sum2(groups * c), mean(groups * c), m2(groups * c) {}
  void add(Launch& l) { l.arg(y).arg(aux).arg(sum).arg(sum2).arg(mean).arg(m2); }
};

/// Checks the result, sums and moments of an epilogue given the raw results in f64; `terms` products went
/// into each.
void check_epilogue(Post post, Output& o, const Values& raw, int64_t c, int64_t images, int64_t groups, int64_t terms) {
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

/// A launch of the size that the TypeScript side gives for one of the epilogues.
struct Sized : Launch {
  Sized(CpuEntry entry, int64_t images, int64_t groups, const LaunchSize& size)
      : Launch(entry, images, groups, {size.tasks[0], size.tasks[1]}) {
    workspace(size.workspace).scratch(size.scratch);
  }
};

template <class T>
Weights<T>::Weights(int64_t n, Kernel pack, Random& random)
    : w(n, random.floats()), seen(n, [this](int64_t i) { return multiplied<T>(w[i]); }), packed(pack.packed) {
  Sized(pack.entry, 1, 1, pack.launch[0]).arg(w).arg(packed).run();
}

template <class T>
void fprop(const Sizes& d, Kernel conv, Kernel pack, Pre pre, Post post) {
  Random random(1);
  Source<T> x(d.images, d.x_pixels(), d.c, d.groups, pre, random);
  Weights<T> w(d.weights(), pack, random);
  Output o(d.images * d.y_pixels() * d.out, d.out, d.groups, random);
  Sized launch(conv.entry, d.images, d.groups, conv.launch[static_cast<int>(post)]);
  launch.arg(x.x).arg(x.a).arg(x.b).arg(w.packed);
  o.add(launch);
  launch.run();
  const Values want = naive_fprop(d, d.images, x.seen, w.seen);
  check_epilogue(post, o, want, d.out, d.images, d.groups, d.r * d.s * d.c);
}

template <class T>
void dgrad(const Sizes& d, Kernel conv, Kernel pack, Pre pre, Post post) {
  Random random(2);
  Source<T> dy(d.images, d.y_pixels(), d.out, d.groups, pre, random);
  Weights<T> w(d.weights(), pack, random);
  Output o(d.images * d.x_pixels() * d.c, d.c, d.groups, random);
  Sized launch(conv.entry, d.images, d.groups, conv.launch[static_cast<int>(post)]);
  launch.arg(dy.x).arg(dy.a).arg(dy.b).arg(w.packed);
  o.add(launch);
  launch.run();
  const Values want = naive_dgrad(d, d.images, dy.seen, w.seen);
  check_epilogue(post, o, want, d.c, d.images, d.groups, d.r * d.s * d.out);
}

template <class T>
void wgrad(const Sizes& d, Kernel conv, Pre pre_dy, Pre pre_x) {
  Random random(3);
  Source<T> dy(d.images, d.y_pixels(), d.out, d.groups, pre_dy, random);
  Source<T> x(d.images, d.x_pixels(), d.c, d.groups, pre_x, random);
  Tensor<float> dw(d.weights());
  Sized launch(conv.entry, d.images, d.groups, conv.launch[0]);
  launch.arg(dy.x).arg(dy.a).arg(dy.b).arg(x.x).arg(x.a).arg(x.b).arg(dw).run();
  const Values want = naive_wgrad(d, d.images, dy.seen, x.seen);
  const double tolerance = 1e-6 * std::sqrt(static_cast<double>(d.images * d.y_pixels())) + 1e-6;
  check_all("dw", dw, [&](int64_t i) { return want[static_cast<size_t>(i)]; }, 2e-6, tolerance);
}

/// A group's result is the same bits alone as beside other groups.
template <class T>
void alone(const Sizes& d, Kernel conv, Kernel pack) {
  Random random(4);
  const int64_t n = d.images, g = d.groups, pixels = d.y_pixels();
  Source<T> x(n, d.x_pixels(), d.c, 1, Pre::Scale, random);
  Weights<T> w(d.weights(), pack, random);
  Output o(n * pixels * d.out, d.out, g, random);
  Sized together(conv.entry, n, g, conv.launch[2]);
  together.arg(x.x).arg(x.a).arg(x.b).arg(w.packed);
  o.add(together);
  together.run();
  const int64_t per = n / g, last = (g - 1) * per, size = per * pixels * d.out, image = d.x_pixels() * d.c;
  Tensor<T> own(per * image, [&](int64_t i) { return x.x[last * image + i]; });
  Output single(size, d.out, 1, random);
  for (int64_t i = 0; i < per * d.out; ++i) single.aux[i] = o.aux[last * d.out + i];
  LaunchSize part = conv.launch[2];
  part.tasks[0] /= g, part.tasks[1] /= g, part.workspace /= g;
  Sized one(conv.entry, per, 1, part);
  one.arg(own).arg(x.a).arg(x.b).arg(w.packed);
  single.add(one);
  one.run();
  const auto channels = static_cast<size_t>(d.out) * 4;
  CHECK(std::memcmp(&single.y[0], &o.y[last * pixels * d.out], static_cast<size_t>(size) * 4) == 0);
  CHECK(std::memcmp(&single.mean[0], &o.mean[(g - 1) * d.out], channels) == 0);
  CHECK(std::memcmp(&single.m2[0], &o.m2[(g - 1) * d.out], channels) == 0);
  CHECK(std::memcmp(&single.sum[0], &o.sum[(g - 1) * d.out], channels) == 0);
}

// The kernels of the cases.

template <class Case>
Kernel packed_fprop() {
  return kernel<typename Case::PackFprop>(pack_conv_fprop<PackKernel<typename Case::PackFprop>>);
}
template <class Case, Pre pre, Post post>
void fprop() {
  using S = std::conditional_t<post == Post::Plain, typename Case::FpropWithoutSums, typename Case::Fprop>;
  fprop<Stored<S>>(sizes<Case, S>, kernel<S>(conv_fprop<FpropKernel<S, pre, post>>), packed_fprop<Case>(), pre, post);
}
template <class Case, Pre pre, Post post>
void dgrad() {
  using S = typename Case::Dgrad;
  using Pack = typename Case::PackDgrad;
  dgrad<Stored<S>>(sizes<Case, S>, kernel<S>(conv_dgrad<DgradKernel<S, pre, post>>),
                   kernel<Pack>(pack_conv_dgrad<PackKernel<Pack>>), pre, post);
}
template <class Case, Pre pre_dy, Pre pre_x>
void wgrad() {
  using S = typename Case::Wgrad;
  wgrad<Stored<S>>(sizes<Case, S>, kernel<S>(conv_wgrad<WgradKernel<S, pre_dy, pre_x>>), pre_dy, pre_x);
}
template <class Case>
void alone() {
  using S = typename Case::Fprop;
  using K = FpropKernel<S, Pre::Scale, Post::Moments>;
  alone<Stored<S>>(sizes<Case, S>, kernel<S>(conv_fprop<K>), packed_fprop<Case>());
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
