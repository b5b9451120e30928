// What tests of kernels of any device share: numbers to put in, and the comparison with a reference.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <random>
#include <string>

#include "native/tap.h"

namespace moproc::test {

/// Uniform in [low, high), the same on every machine.
class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  float uniform(float low = -1, float high = 1) {
    return low + (high - low) * (static_cast<float>(engine_() >> 8) * 0x1p-24f);
  }
  int64_t below(int64_t n) { return static_cast<int64_t>(engine_()) % n; }
  std::function<float(int64_t)> floats(float low = -1, float high = 1) {
    return [this, low, high](int64_t) { return uniform(low, high); };
  }
  std::function<int64_t(int64_t)> integers(int64_t n) {
    return [this, n](int64_t) { return below(n); };
  }

 private:
  std::mt19937 engine_;
};

inline int64_t ceil_of(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Notes the element `bad` that is wrong; -1: none is. Not inlined: the texts take longer to compile than the tests.
[[gnu::noinline]] inline void note_element(const char* what, int64_t bad, float got, double want) {
  note(bad < 0, what, static_cast<int>(bad < 0 ? 0 : bad),
       bad < 0 ? "" : "element " + std::to_string(bad) + ": " + show(got) + " is not " + show(want));
}

/// |got - want| <= absolute + relative * |want| for every element of a tensor whose elements convert to float, NaN
/// and infinities alike; notes the worst.
template <class Tensor, class F>
void check_all(const char* what, const Tensor& got, F want, double relative, double absolute) {
  int64_t bad = -1;
  double worst = 0;
  for (int64_t i = 0; i < got.size(); ++i) {
    const double w = want(i), g = static_cast<float>(got[i]);
    if ((std::isnan(w) && std::isnan(g)) || w == g) continue;
    const double excess = std::fabs(g - w) - (absolute + relative * std::fabs(w));
    if (std::isnan(excess) || excess > worst) bad = i, worst = std::isnan(excess) ? INFINITY : excess;
  }
  note_element(what, bad, bad < 0 ? 0 : static_cast<float>(got[bad]), bad < 0 ? 0 : double(want(bad)));
}

}  // namespace moproc::test
