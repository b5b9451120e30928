// How fast a register tile of a convolution is on one core, in f32 and in bf16. Compiled once for each kind of CPU that
// kernels are compiled for; MOPROC_RATES is the function's name.
#include <chrono>

#include "cpu/conv_common.hpp"

namespace {
using namespace moproc;

constexpr int kWords = 288, kPixels = 6;  // x and w of a tile (of 32 pixels: a third of the words) stay in the cache
#if defined(__AVX512F__)
constexpr int kVectors = 4;
#else
constexpr int kVectors = 2;
#endif
#if defined(__AMX_BF16__)
using Half = Amx;
#else
using Half = Bf16;
#endif

/// GFLOP/s of tiles of type E: the best of many short runs, which other processes disturb least.
template <class E>
double rate() {
  constexpr int words = E::tiles ? kWords / 3 : kWords, pixels = E::tiles ? 32 : kPixels;
  [[maybe_unused]] const typename E::Mode mode(16);
  alignas(64) static float x[pixels * words], w[words * kVectors * Vec::width], acc[pixels * kVectors * Vec::width];
  ConvPixel at[pixels];
  for (int i = 0; i < pixels; ++i) at[i] = {i * words, i};
  const Taps taps{w, 1, 1, words, 0, 0, 0, 16};
  constexpr int kRuns = 20;
  constexpr double kFlops = 2.0 * E::per_word * kRuns * pixels * kVectors * Vec::width * words;
  using Clock = std::chrono::steady_clock;
  double best = 1e9;
  for (const auto end = Clock::now() + std::chrono::milliseconds(10); Clock::now() < end;) {
    const auto start = Clock::now();
    for (int i = 0; i < kRuns; ++i)
      if constexpr (E::tiles) E::template tile<kVectors>(x, at, pixels, taps, acc, i > 0);
      else conv_tile<E, kVectors, pixels>(x, at, taps, acc, i > 0);
    const double s = std::chrono::duration<double>(Clock::now() - start).count();
    if (s < best) best = s;
  }
  return 1e-9 * kFlops / best;
}

}  // namespace

extern "C" double MOPROC_RATES(int bf16) { return bf16 ? rate<Half>() : rate<F32>(); }
