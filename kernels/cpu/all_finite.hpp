// y = 1 if every element of every x is finite, otherwise 0. The kernel adds 0 * x, which is NaN if x is infinite or
// NaN. Tasks: phase 0 has one per chunk of 64 Ki elements, buffer after buffer; phase 1 has one, which combines the
// chunks.
//
// Constants: SIZES[XS_COUNT] (elements), XS_BUFFERS[XS_COUNT], Y_BUFFER (f32[]). Workspace: one float per chunk.
#pragma once

#include "cpu/lanes.hpp"
#include "cpu/leaf.hpp"

namespace moproc {

constexpr int64_t finite_chunk = 65536;

template <class K>
static void all_finite(const Params& p, const Task& t) {
  float* const sums = static_cast<float*>(p.workspace);
  int64_t first = 0;  // chunk at which buffer i begins
  for (int i = 0; i < K::XS_COUNT; ++i) {
    const int64_t chunks = ceil_div(K::SIZES[i], finite_chunk);
    if (t.phase == 0) {
      const int64_t end = smaller(t.end, first + chunks);
      for (int64_t task = t.begin > first ? t.begin : first; task < end; ++task) {
        const int64_t at = (task - first) * finite_chunk;
        const float* const x = in<float>(p, K::XS_BUFFERS[i]) + at;
        sums[task] = sum_over(smaller(finite_chunk, K::SIZES[i] - at),
                              [&](int64_t c, int lanes) { return load(x + c, lanes) * Vec(0.0f); });
      }
    }
    first += chunks;
  }
  if (t.phase == 0) return;
  float sum = 0;
  for (int64_t i = 0; i < first; ++i) sum += sums[i];
  *static_cast<float*>(p.buf[K::Y_BUFFER]) = sum == sum ? 1.0f : 0.0f;
}

}  // namespace moproc
