// exp, log, tanh, sigmoid and erf against libm in f64: an error of at most 2 units in the last place over all of f32,
// including the tails. The functions that round nothing are equal to libm's.
#include "native/kernels/device.h"

#include MOPROC_KERNEL(math)

#include <bit>
#include <cmath>

namespace {
using namespace moproc;

template <class F>
float apply(F f, float x) {
  alignas(64) float lanes[Vec::width];
  store(lanes, f(Vec(x)));
  return lanes[Vec::width - 1];
}

/// Distance of `got` from `want` in units of the last place of a float of that size; denormals have the least
/// unit.
double ulps(float got, double want) {
  const double limit = 0x1.ffffffp127;
  if (std::isnan(want) || std::isnan(got)) return std::isnan(want) && std::isnan(got) ? 0 : INFINITY;
  if (std::isinf(got)) return std::fabs(want) >= limit && (want > 0) == (got > 0) ? 0 : INFINITY;
  const int exponent = want == 0 ? -149 : std::max(-149, std::ilogb(want) - 23);
  return std::fabs(got - want) / std::ldexp(1.0, exponent);
}

/// Compares f with the reference, a vector of different numbers at a time.
template <class F, class R>
void sweep(const char* name, F f, R reference) {
  constexpr int L = Vec::width;
  double worst = 0;
  float at = 0;
  alignas(64) float x[L], y[L];
  int filled = 0;
  const auto check = [&](float next) {
    x[filled++] = next;
    if (filled < L) return;
    filled = 0;
    store(y, f(load(x)));
    for (int l = 0; l < L; ++l) {
      const double u = ulps(y[l], reference(static_cast<double>(x[l])));
      if (u > worst) worst = u, at = x[l];
    }
  };
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 2039)
    check(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  for (int i = -4000000; i < 4000000; i += 3)  // and densely where the action is
    check(static_cast<float>(i) * 0x1p-15f);
  while (filled > 0) check(0.0f);  // the last vector
  std::printf("# %s: %.3f ulp at %a\n", name, worst, static_cast<double>(at));
  CHECK(worst <= 2.0);
}

const auto exp_ = [](Vec x) { return moproc::exp(x); };
const auto log_ = [](Vec x) { return moproc::log(x); };
const auto tanh_ = [](Vec x) { return moproc::tanh(x); };
const auto sigmoid_ = [](Vec x) { return sigmoid(x); };
const auto erf_ = [](Vec x) { return moproc::erf(x); };

TEST("exp is within 2 ulp") {
  sweep("exp", exp_, [](double x) { return std::exp(x); });
}
TEST("log is within 2 ulp") {
  sweep("log", log_, [](double x) { return std::log(x); });
}
TEST("tanh is within 2 ulp") {
  sweep("tanh", tanh_, [](double x) { return std::tanh(x); });
}
TEST("sigmoid is within 2 ulp") {
  sweep("sigmoid", sigmoid_, [](double x) { return 1 / (1 + std::exp(-x)); });
}

TEST("erf is within 2 ulp") {
  sweep("erf", erf_, [](double x) { return std::erf(x); });
}

/// The same number, or NaN both; zeros have the same sign.
bool same(float a, float b) { return (a != a && b != b) || (a == b && std::signbit(a) == std::signbit(b)); }

TEST("floor, ceil, trunc, round and sign are exact") {
  int64_t wrong = 0;
  const auto check = [&](float x) {
    wrong += !same(apply([](Vec v) { return floor(v); }, x), std::floor(x));
    wrong += !same(apply([](Vec v) { return ceil(v); }, x), std::ceil(x));
    wrong += !same(apply([](Vec v) { return trunc(v); }, x), std::trunc(x));
    wrong += !same(apply([](Vec v) { return moproc::round(v); }, x), std::nearbyint(x));
    wrong += !same(apply([](Vec v) { return sign(v); }, x), x > 0 ? 1.0f : x < 0 ? -1.0f : x);
  };
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 65521)
    check(std::bit_cast<float>(static_cast<uint32_t>(bits)));
  for (int i = -4096; i <= 4096; ++i) check(static_cast<float>(i) * 0.125f);
  for (float x : {0.0f, -0.0f, INFINITY, -INFINITY, 0x1p23f, -0x1p23f + 0.5f, 8388609.0f}) check(x);
  CHECK_EQ(wrong, 0);
}

TEST("the larger and the smaller of two are NaN if either is") {
  const float values[] = {NAN, -INFINITY, -1, 0, 2, INFINITY};
  for (float a : values)
    for (float b : values) {
      const bool nan = a != a || b != b;
      CHECK(same(apply([b](Vec v) { return max_of(v, Vec(b)); }, a), nan ? NAN : std::fmax(a, b)));
      CHECK(same(apply([b](Vec v) { return min_of(v, Vec(b)); }, a), nan ? NAN : std::fmin(a, b)));
    }
}

TEST("masks") {
  for (float a : {0.0f, 1.0f})
    for (float b : {0.0f, 1.0f}) {
      const auto as = [a, b](auto f) {
        return apply([&](Vec v) { return select(f(v > Vec(0.5f), Vec(b) > Vec(0.5f)), Vec(1.0f), Vec(0.0f)); }, a);
      };
      CHECK_EQ(as([](Mask m, Mask n) { return m & n; }), a * b);
      CHECK_EQ(as([](Mask m, Mask n) { return m | n; }), std::fmax(a, b));
      CHECK_EQ(as([](Mask m, Mask) { return !m; }), 1.0f - a);
    }
}

/// FNV-1a over the bits of f at every 65,521st float, one result per lane of a vector of equal values.
template <class F>
uint64_t digest(F f) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 65521) {
    const float y = apply(f, std::bit_cast<float>(static_cast<uint32_t>(bits)));
    const uint32_t got = y == y ? std::bit_cast<uint32_t>(y) : 0x7fc00000u;  // a NaN's sign and payload are free
    hash = (hash ^ got) * 0x100000001b3u;
  }
  return hash;
}

// Recorded with AVX2; the same numbers stand for AVX-512 and for the CUDA kernels.
TEST("the same bits on every device") {
  CHECK_EQ(digest(exp_), 0xaefb692f79e4e2b1u);
  CHECK_EQ(digest(log_), 0x99c095c90758141u);
  CHECK_EQ(digest(tanh_), 0x779892d8dd7a83b7u);
  CHECK_EQ(digest(sigmoid_), 0x3a4e03247e5bd51au);
  CHECK_EQ(digest(erf_), 0xd021ace493c7ca15u);
}

TEST("infinities, zeros and NaN") {
  CHECK_EQ(apply(exp_, -INFINITY), 0.0f);
  CHECK_EQ(apply(exp_, INFINITY), INFINITY);
  CHECK_EQ(apply(exp_, 0.0f), 1.0f);
  CHECK_EQ(apply(log_, 0.0f), -INFINITY);
  CHECK_EQ(apply(log_, -0.0f), -INFINITY);
  CHECK_EQ(apply(log_, INFINITY), INFINITY);
  CHECK_EQ(apply(log_, 1.0f), 0.0f);
  CHECK(std::isnan(apply(log_, -1.0f)));
  CHECK(std::isnan(apply(log_, -INFINITY)));
  CHECK_EQ(apply(tanh_, INFINITY), 1.0f);
  CHECK_EQ(apply(tanh_, -INFINITY), -1.0f);
  CHECK(std::signbit(apply(tanh_, -0.0f)));
  CHECK_EQ(apply(erf_, INFINITY), 1.0f);
  CHECK_EQ(apply(erf_, -INFINITY), -1.0f);
  CHECK(std::signbit(apply(erf_, -0.0f)));
  CHECK_EQ(apply(sigmoid_, INFINITY), 1.0f);
  CHECK_EQ(apply(sigmoid_, -INFINITY), 0.0f);
  for (float x : {NAN, -NAN}) {
    CHECK(std::isnan(apply(exp_, x)));
    CHECK(std::isnan(apply(log_, x)));
    CHECK(std::isnan(apply(tanh_, x)));
    CHECK(std::isnan(apply(sigmoid_, x)));
    CHECK(std::isnan(apply(erf_, x)));
  }
}

}  // namespace

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
