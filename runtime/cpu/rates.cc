// How fast a register tile of a convolution is on one core, in f32 and in bf16. Compiled once for each kind of CPU that
// kernels are compiled for; MOPROC_RATES is the function's name.
#include <chrono>

#include "cpu/conv_common.hpp"

namespace {
using namespace moproc;

constexpr int kWords = 288, kPixels = 6;  // x and w of a tile stay in the first-level cache
#if defined(__AVX512F__)
constexpr int kVectors = 4;
#else
constexpr int kVectors = 2;
#endif

/// GFLOP/s of tiles of type E: the best of many short runs, which other processes disturb least.
template <class E>
double rate() {
  [[maybe_unused]] const typename E::Mode mode{};
  alignas(64) static float x[kPixels * kWords], w[kWords * kVectors * Vec::width], acc[kPixels * kVectors * Vec::width];
  ConvPixel at[kPixels];
  for (int i = 0; i < kPixels; ++i) at[i] = {i * kWords, i};
  const Taps taps{w, 1, 1, kWords, 0, 0};
  constexpr int kRuns = 20;
  constexpr double kFlops = 2.0 * E::per_word * kRuns * kPixels * kVectors * Vec::width * kWords;
  using Clock = std::chrono::steady_clock;
  double best = 1e9;
  for (const auto end = Clock::now() + std::chrono::milliseconds(10); Clock::now() < end;) {
    const auto start = Clock::now();
    for (int i = 0; i < kRuns; ++i) conv_tile<E, kVectors, kPixels>(x, at, taps, acc, i > 0);
    const double s = std::chrono::duration<double>(Clock::now() - start).count();
    if (s < best) best = s;
  }
  return 1e-9 * kFlops / best;
}

}  // namespace

extern "C" double MOPROC_RATES(int bf16) { return bf16 ? rate<Bf16>() : rate<F32>(); }
