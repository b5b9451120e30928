// y[n, c] = mean of x[n, h, w, c] over the pixels, summed in order in runs of 64 pixels, then over the runs. Tasks:
// (image, block of 64 channels). Memory bound.
//
// Constants: PIXELS (h * w), C. struct X: prologue over (n, pixels, c); struct Y: epilogue over (n, 1, c),
// without sums. No scratch, no workspace.
#pragma once

#include "cpu/sums.hpp"

namespace moproc {

constexpr int average_channels = 64, average_run = 64;

template <class K>
static void global_avg_pool(const Params& p, const Task& t) {
  using Y = typename K::Y;
  static_assert(partial_values<Y> == 0, "global_avg_pool: this template takes no channel sums");
  constexpr int blocks = (K::C + average_channels - 1) / average_channels;
  for (int64_t task = t.begin; task < t.end; ++task) {
    const int64_t n = task / blocks, g = n / (p.rows / p.groups);
    const int c0 = static_cast<int>(task % blocks) * average_channels;
    const int c1 = static_cast<int>(smaller(c0 + average_channels, K::C));
    for (int c = c0; c < c1; c += Vec::width) {
      const int lanes = lanes_of(c1 - c);
      Vec sum, none[1];
      for (int64_t i = 0; i < K::PIXELS; i += average_run) {
        Vec run;
        for (int64_t j = i; j < smaller(i + average_run, K::PIXELS); ++j)
          run = run + operand<typename K::X, K::C>(p, At{n * K::PIXELS + j, n, g, c}, lanes);
        sum = sum + run;
      }
      Y::store(p, At{n, n, g, c}, lanes, sum / Vec(static_cast<float>(K::PIXELS)), none);
    }
  }
}

}  // namespace moproc
