// y[o, i] = sum or maximum over r of x[o, r, i]. The middle axis is divided into tiles of fixed length, which are then
// combined in a balanced tree. Mapping: a block computes up to 256 columns i of a tile, with rows side by side if there
// are fewer columns. A thread adds every ty-th row in order, then the rows are combined in a tree. Memory bound.
//
// Grid, phase 0: outer * tiles * reduce_columns(inner) blocks; phase 1, if there is more than one tile: outer *
// reduce_columns(inner). Constants: KIND (0 sum, 1 max), THREADS (256), X_BUFFER, Y_BUFFER. Params::extent = {outer,
// red, inner}. A maximum is NaN if any element is. Workspace, if there is more than one tile: outer * tiles * inner
// floats.
#pragma once

#include "cuda/vec.cuh"

namespace moproc {

constexpr int reduce_threads = 256;

/// Length of a tile along the reduced axis: about 16 Ki elements.
MOPROC_BOTH constexpr int64_t reduce_tile(int64_t inner) { return larger(16, 16384 / inner); }
/// Blocks side by side along `inner`.
MOPROC_BOTH constexpr int64_t reduce_columns(int64_t inner) { return ceil_div(inner, reduce_threads); }

template <class K>
MOPROC_INLINE float reduce_join(float a, float b) {
  if constexpr (K::KIND == 1) return a == a ? nan_max(a, b) : a;
  else return __fadd_rn(a, b);
}
template <class K>
MOPROC_INLINE float reduce_start() {
  return K::KIND == 1 ? __int_as_float(static_cast<int>(0xff800000u)) : 0.0f;
}

/// y (inner) = x (rows, inner) reduced over rows, for this block's columns.
template <class K>
MOPROC_INLINE void reduce_part(const float* x, int64_t rows, int64_t inner, int64_t column0, float* y) {
  const int tx = static_cast<int>(smaller(inner - column0, reduce_threads)), ty = reduce_threads / tx;
  const int t = static_cast<int>(threadIdx.x), lane = t / tx;
  const int64_t column = column0 + t % tx;
  float* const held = shared_array<float, reduce_threads>();
  float mine = reduce_start<K>();
  if (lane < ty)
#pragma unroll 8
    for (int64_t r = lane; r < rows; r += ty) mine = reduce_join<K>(mine, x[r * inner + column]);
  held[t] = mine;
#pragma unroll 1
  for (int step = 1; step < ty; step *= 2) {
    __syncthreads();
    if (lane % (2 * step) == 0 && lane + step < ty) held[t] = reduce_join<K>(held[t], held[t + step * tx]);
  }
  if (lane == 0) y[column] = held[t];
}

template <class K>
__device__ void reduce(const Params& p) {
  static_assert(K::THREADS == reduce_threads, "reduce: blocks of 256 threads");
  const int64_t red = p.extent[1], inner = p.extent[2], tile = reduce_tile(inner), tiles = ceil_div(red, tile);
  const int64_t wide = reduce_columns(inner), task = blockIdx.x / wide, column0 = blockIdx.x % wide * reduce_threads;
  float* const y = out<float>(p, K::Y_BUFFER);
  float* const parts = tiles > 1 ? static_cast<float*>(p.workspace) : y;  // (outer, tile, inner)
  if (p.phase == 0) {
    const int64_t o = task / tiles, r = task % tiles * tile;
    reduce_part<K>(in<float>(p, K::X_BUFFER) + (o * red + r) * inner, smaller(tile, red - r), inner, column0,
                   parts + task * inner);
    return;
  }
  const int64_t column = column0 + threadIdx.x;
  if (column >= inner) return;
  float* const a = parts + task * tiles * inner + column;
#pragma unroll 1
  for (int64_t step = 1; step < tiles; step *= 2)
#pragma unroll 4
    for (int64_t i = 0; i + step < tiles; i += 2 * step)
      a[i * inner] = reduce_join<K>(a[i * inner], a[(i + step) * inner]);
  y[task * inner + column] = a[0];
}

}  // namespace moproc
