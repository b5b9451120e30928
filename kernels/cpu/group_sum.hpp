// y[:] = sum over g of x[g, :], in the order of a balanced tree over the groups. Tasks: chunks of 4 Ki elements of y.
//
// Constants: X_GROUPS, REST (elements of y), X_BUFFER, Y_BUFFER. No scratch, no workspace.
#pragma once

#include "cpu/lanes.hpp"
#include "cpu/leaf.hpp"

namespace moproc {

constexpr int64_t group_sum_chunk = 4096;

template <class K>
static void group_sum(const Params& p, const Task& t) {
  const int64_t end = smaller(t.end * group_sum_chunk, K::REST);
  for (int64_t e = t.begin * group_sum_chunk; e < end; e += Vec::width) {
    const int lanes = lanes_of(end - e);
    Vec waiting[32];  // as in a binary counter: each partial sum covers fewer groups than the one before
    int depth = 0;
    const auto join = [&] {
      --depth;
      waiting[depth - 1] = waiting[depth - 1] + waiting[depth];
    };
    for (int64_t g = 0; g < K::X_GROUPS; ++g) {
      waiting[depth++] = load(in<float>(p, K::X_BUFFER) + g * K::REST + e, lanes);
      for (int64_t full = g + 1; full % 2 == 0; full /= 2) join();
    }
    while (depth > 1) join();
    store(static_cast<float*>(p.buf[K::Y_BUFFER]) + e, waiting[0], lanes);
  }
}

}  // namespace moproc
