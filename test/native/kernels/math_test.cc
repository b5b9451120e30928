// exp, log, tanh and sigmoid against libm in f64: an error of at most 2 units in the last place over all of f32,
// including the tails.
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

template <class F, class R>
void sweep(const char* name, F f, R reference) {
  double worst = 0;
  float at = 0;
  for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 2039) {
    const float x = std::bit_cast<float>(static_cast<uint32_t>(bits));
    const double u = ulps(apply(f, x), reference(static_cast<double>(x)));
    if (u > worst) worst = u, at = x;
  }
  for (int i = -4000000; i < 4000000; i += 3) {  // and densely where the action is
    const float x = static_cast<float>(i) * 0x1p-15f;
    const double u = ulps(apply(f, x), reference(static_cast<double>(x)));
    if (u > worst) worst = u, at = x;
  }
  std::printf("# %s: %.3f ulp at %a\n", name, worst, static_cast<double>(at));
  CHECK(worst <= 2.0);
}

const auto exp_ = [](Vec x) { return moproc::exp(x); };
const auto log_ = [](Vec x) { return moproc::log(x); };
const auto tanh_ = [](Vec x) { return moproc::tanh(x); };
const auto sigmoid_ = [](Vec x) { return sigmoid(x); };

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
  CHECK_EQ(apply(sigmoid_, INFINITY), 1.0f);
  CHECK_EQ(apply(sigmoid_, -INFINITY), 0.0f);
  for (float x : {NAN, -NAN}) {
    CHECK(std::isnan(apply(exp_, x)));
    CHECK(std::isnan(apply(log_, x)));
    CHECK(std::isnan(apply(tanh_, x)));
    CHECK(std::isnan(apply(sigmoid_, x)));
  }
}

}  // namespace

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
