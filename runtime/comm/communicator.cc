// The code that all communicators share.
#include "comm/communicator.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace moproc::comm {

namespace {

constexpr int64_t kBlock = 1024;  // floats that stay in the first-level cache

/// sum[0 .. n) = the sum of the x from position `at` on, in the order of a balanced tree.
void add_tree(std::span<const float* const> x, int64_t at, float* sum, int64_t n) {
  if (x.size() == 1) {
    std::memcpy(sum, x[0] + at, static_cast<size_t>(n) * sizeof(float));
    return;
  }
  const size_t half = std::bit_ceil(x.size()) / 2;
  float right[kBlock];
  add_tree(x.first(half), at, sum, n);
  add_tree(x.subspan(half), at, right, n);
  for (int64_t i = 0; i < n; ++i) sum[i] += right[i];
}

}  // namespace

void tree_sum(std::span<const float* const> x, float* to, int64_t n) {
  float sum[kBlock];
  for (int64_t at = 0; at < n; at += kBlock) {
    const int64_t here = std::min(kBlock, n - at);
    add_tree(x, at, sum, here);
    std::memcpy(to + at, sum, static_cast<size_t>(here) * sizeof(float));
  }
}

}  // namespace moproc::comm
