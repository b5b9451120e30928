// Momentum prototypes: for the kept rows in order, p[target] <- m p[target] + (1 - m) q; then every prototype is
// L2-normalised (x / max(norm, 1e-12)). If finite is 0, nothing changes. Targets outside [0, CLASSES) are skipped.
// Mapping: one warp per class, which reads all targets, 32 at a time, and applies the rows of its class in order, so
// the result is the sequential one. Bound by the latency of reading the targets.
//
// Grid: ceil(CLASSES / prototype_block). Constants: CLASSES, DIM, THREADS (256), PROTOTYPES_BUFFER, Q_BUFFER (n, d),
// TARGET_BUFFER (i64[n]), KEPT_BUFFER (f32[n], 0: skip), M_BUFFER, FINITE_BUFFER (f32[]), PROTOTYPES_NEW_BUFFER (may be
// prototypes). Params::rows = n.
#pragma once

#include "cuda/rows.cuh"

namespace moproc {

constexpr int64_t prototype_block = row_block_threads / 32;  // classes of a block

/// Calls f(i) for the kept rows i of a class, in order, in all lanes of the warp.
template <class K, class F>
MOPROC_INLINE void for_rows_of_class(const Params& p, int64_t k, F f) {
  const int64_t* const target = in<int64_t>(p, K::TARGET_BUFFER);
  const float* const kept = in<float>(p, K::KEPT_BUFFER);
#pragma unroll 1
  for (int64_t base = 0; base < p.rows; base += 32) {
    const int64_t i = base + threadIdx.x % 32;
    unsigned hits = __ballot_sync(0xffffffffu, i < p.rows && target[i] == k && kept[i] != 0.0f);
    for (; hits != 0; hits &= hits - 1) f(base + __ffs(static_cast<int>(hits)) - 1);
  }
}

template <class K>
__device__ void prototype_update(const Params& p) {
  static_assert(K::THREADS == row_block_threads, "prototype_update: blocks of 256 threads");
  constexpr int round = 256;  // elements of a warp at once: a Vec a lane
  const int64_t k = blockIdx.x * prototype_block + threadIdx.x / 32;
  if (k >= K::CLASSES) return;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const bool finite = *in<float>(p, K::FINITE_BUFFER) != 0.0f;
  const Vec m(*in<float>(p, K::M_BUFFER)), rest = Vec(1.0f) - m;
  const float* const old = in<float>(p, K::PROTOTYPES_BUFFER) + k * K::DIM;
  float* const now = out<float>(p, K::PROTOTYPES_NEW_BUFFER) + k * K::DIM;
  const auto read = [&](const float* x, int base) {
    return each([&](int i) { return base + i * 32 + lane < K::DIM ? x[base + i * 32 + lane] : 0.0f; });
  };
  const auto write = [&](int base, Vec v) {
#pragma unroll
    for (int i = 0; i < 8; ++i)
      if (base + i * 32 + lane < K::DIM) now[base + i * 32 + lane] = v.x[i];
  };
  Vec squares, x;
#pragma unroll 1
  for (int base = 0; base < K::DIM; base += round) {
    x = read(old, base);
    if (finite)
      for_rows_of_class<K>(p, k,
                           [&](int64_t i) { x = m * x + rest * read(in<float>(p, K::Q_BUFFER) + i * K::DIM, base); });
    if (!finite || K::DIM > round) write(base, x);
    squares = squares + x * x;
  }
  if (!finite) return;
  float sum = sum_lanes(squares);
#pragma unroll
  for (int step = 16; step > 0; step /= 2) sum = __fadd_rn(sum, __shfl_xor_sync(0xffffffffu, sum, step));
  const float norm = __fsqrt_rn(sum);
  const Vec by(norm < 1e-12f ? 1e-12f : norm);
  if constexpr (K::DIM <= round) write(0, x / by);
  else
#pragma unroll 1
    for (int base = 0; base < K::DIM; base += round) write(base, read(now, base) / by);
}

}  // namespace moproc
