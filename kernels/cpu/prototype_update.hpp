// Momentum prototypes: for the kept rows in order, p[target] <- m p[target] + (1 - m) q; then every prototype is
// L2-normalised (x / max(norm, 1e-12)). If finite is 0, nothing changes. The task that owns a class applies its rows in
// order, so the result is the sequential one for any number of threads. Targets outside [0, CLASSES) are skipped.
// Tasks: blocks of classes.
//
// Constants: CLASSES, DIM, PROTOTYPES_BUFFER, Q_BUFFER (n, d), TARGET_BUFFER (i64[n]), KEPT_BUFFER (f32[n], 0:
// skip), M_BUFFER, FINITE_BUFFER (f32[]), PROTOTYPES_NEW_BUFFER (may be prototypes). Params::rows = n. No
// scratch.
#pragma once

#include "cpu/l2_normalize.hpp"

namespace moproc {

/// Classes per task: enough that reading the targets once per task is cheap.
constexpr int64_t prototype_block = 16;

template <class K>
static void prototype_update(const Params& p, const Task& t) {
  const bool finite = *in<float>(p, K::FINITE_BUFFER) != 0.0f;
  const Vec m(*in<float>(p, K::M_BUFFER)), rest = Vec(1.0f) - m;
  const int64_t* const target = in<int64_t>(p, K::TARGET_BUFFER);
  const float *const kept = in<float>(p, K::KEPT_BUFFER), *const old = in<float>(p, K::PROTOTYPES_BUFFER);
  float* const now = static_cast<float*>(p.buf[K::PROTOTYPES_NEW_BUFFER]);
  const int64_t begin = t.begin * prototype_block, end = smaller(t.end * prototype_block, K::CLASSES);
  if (old != now)
    __builtin_memcpy(now + begin * K::DIM, old + begin * K::DIM,
                     static_cast<size_t>((end - begin) * K::DIM) * sizeof(float));
  if (!finite) return;
  for (int64_t i = 0; i < p.rows; ++i) {
    if (kept[i] == 0.0f || target[i] < begin || target[i] >= end) continue;
    const float* const q = in<float>(p, K::Q_BUFFER) + i * K::DIM;
    float* const x = now + target[i] * K::DIM;
    for_vectors(K::DIM,
                [&](int64_t c, int lanes) { store(x + c, m * load(x + c, lanes) + rest * load(q + c, lanes), lanes); });
  }
  for (int64_t k = begin; k < end; ++k) normalize_row(now + k * K::DIM, now + k * K::DIM, K::DIM, 1e-12f);
}

}  // namespace moproc
