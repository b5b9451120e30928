// y[n, c] = mean of x[n, h, w, c] over the pixels, summed in order in runs of 64 pixels, then over the runs. Mapping:
// one thread per vector of 8 channels of one image, with 8 pixels in flight. Memory bound.
//
// Grid: pool_tasks(rows, C). Constants: PIXELS (h * w), C, THREADS (256). struct X: prologue over (n, pixels, c);
// struct Y: epilogue over (n, 1, c), without sums.
#pragma once

#include "cuda/max_pool.cuh"

namespace moproc {

constexpr int average_run = 64;

template <class K>
__device__ void global_avg_pool(const Params& p) {
  using Y = typename K::Y;
  static_assert(consistent<Y> && partial_values<Y> == 0, "global_avg_pool: this template takes no channel sums");
  static_assert(K::THREADS == pool_threads, "global_avg_pool: blocks of 256 threads");
  constexpr unsigned vectors = (K::C + 7) / 8;
  const unsigned t = blockIdx.x * pool_threads + threadIdx.x;
  const int64_t n = t / vectors;
  if (n >= p.rows) return;
  const int64_t g = n / (p.rows / p.groups);
  const int c = static_cast<int>(t % vectors) * 8, lanes = K::C % 8 == 0 ? 8 : static_cast<int>(smaller(8, K::C - c));
  Vec sum, none[1];
#pragma unroll 1
  for (int i = 0; i < K::PIXELS; i += average_run) {
    const int end = static_cast<int>(smaller(i + average_run, K::PIXELS));
    Vec run;
#pragma unroll 8
    for (int j = i; j < end; ++j) run = run + operand<typename K::X, K::C>(p, At{n * K::PIXELS + j, n, g, c}, lanes);
    sum = sum + run;
  }
  Y::store(p, At{n, n, g, c}, lanes, sum / Vec(static_cast<float>(K::PIXELS)), none);
}

}  // namespace moproc
