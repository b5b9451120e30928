// to[:] = sum over r of rows[r, :], in the order of a balanced tree over the ranks (the left half is the largest power
// of two), as in comm::tree_sum. The operands of all ranks are in one buffer, `stride` floats apart, and are
// overwritten. Mapping: 4 floats per thread, one level of the tree after the other, from cache after the first. Memory
// bound.
//
// Grid: chunks of rank_sum_chunk floats. Constants: THREADS (256). Launch: buf[0] rows (ranks, stride), buf[1] to (n),
// rows = n, groups = ranks, extent[0] = stride, a multiple of 4.
#pragma once

#include "cuda/params.cuh"

namespace moproc {

constexpr int64_t rank_sum_chunk = 1024;

template <class K>
__device__ void rank_sum(const Params& p) {
  static_assert(K::THREADS * 4 == rank_sum_chunk, "rank_sum: blocks of 256 threads");
  const int64_t e = blockIdx.x * rank_sum_chunk + threadIdx.x * 4;
  if (e >= p.rows) return;
  const int64_t ranks = p.groups, stride = p.extent[0];
  float* const rows = out<float>(p, 0) + e;  // (ranks, stride)
  const auto row = [&](int64_t r) { return whole<float4>(rows + r * stride); };
  for (int64_t step = 1; step < ranks; step *= 2)
    for (int64_t r = 0; r + step < ranks; r += 2 * step) {
      const float4 a = *row(r), b = *row(r + step);
      *row(r) = make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
    }
  const float4 sum = *row(0);
  const float parts[4] = {sum.x, sum.y, sum.z, sum.w};
  float* const to = out<float>(p, 1) + e;  // (n)
  if (e + 4 <= p.rows) *whole<float4>(to) = sum;
  else
    for (int64_t i = 0; i < p.rows - e; ++i) to[i] = parts[i];
}

}  // namespace moproc
