// y[:] = sum over g of x[g, :], in the order of a balanced tree over the groups. Mapping: 8 elements per
// thread, with all their groups in flight. Memory bound.
//
// Grid: chunks of group_sum_chunk elements of y. Constants: X_GROUPS, REST (elements of y), THREADS (256), X_BUFFER,
// Y_BUFFER.
#pragma once

#include "cuda/leaf.cuh"

namespace moproc {

constexpr int64_t group_sum_chunk = 2048;

/// Sum of the groups FIRST .. FIRST + N of a vector. The left half of the tree is the largest power of two below N.
template <int FIRST, int N, int64_t REST>
MOPROC_INLINE Vec group_tree(const float* x, int lanes) {
  if constexpr (N == 1) {
    return load_as<float, REST % 8 == 0>(x + FIRST * REST, lanes);
  } else {
    constexpr int half = [] {
      int h = 1;
      while (2 * h < N) h *= 2;
      return h;
    }();
    const Vec left = group_tree<FIRST, half, REST>(x, lanes);
    return left + group_tree<FIRST + half, N - half, REST>(x, lanes);
  }
}

template <class K>
__device__ void group_sum(const Params& p) {
  static_assert(K::THREADS * 8 == group_sum_chunk, "group_sum: blocks of 256 threads");
  const int64_t e = blockIdx.x * group_sum_chunk + threadIdx.x * 8;
  if (e >= K::REST) return;
  const int lanes = static_cast<int>(smaller(8, K::REST - e));
  const Vec sum = group_tree<0, K::X_GROUPS, K::REST>(in<float>(p, K::X_BUFFER) + e, lanes);
  float* const y = out<float>(p, K::Y_BUFFER) + e;
  if (K::REST % 8 == 0) store(y, sum);
  else store(y, sum, lanes);
}

}  // namespace moproc
