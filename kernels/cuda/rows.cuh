// Matrices row by row: one warp per row, or a whole block if rows are long. A thread holds eight elements of its row at
// a time, `threads` apart, so accesses are coalesced for every length, and eight are in flight. The order of a sum over
// a row depends only on its length.
#pragma once

#include "cuda/leaf.cuh"

namespace moproc {

constexpr int row_block_threads = 256;

/// Threads per row of `columns` elements, and blocks for `rows` such rows.
MOPROC_BOTH constexpr int row_threads(int64_t columns) { return columns >= 4096 ? row_block_threads : 32; }
MOPROC_BOTH constexpr int64_t row_tasks(int64_t rows, int64_t columns) {
  return ceil_div(rows, row_block_threads / row_threads(columns));
}

/// One row of COLUMNS elements, for the threads that share it. All of them must call every function.
template <int COLUMNS>
struct Row {
  static constexpr int threads = row_threads(COLUMNS), round = 8 * threads;

  /// Index of this thread's row; may be past the last row.
  static MOPROC_INLINE int64_t index() {
    return static_cast<int64_t>(blockIdx.x) * (row_block_threads / threads) + threadIdx.x / threads;
  }
  static MOPROC_INLINE int thread() { return static_cast<int>(threadIdx.x) % threads; }
  static MOPROC_INLINE int column(int base, int i) { return base + i * threads + thread(); }

  /// Elements base + i * threads + thread of x; `fill` past the end.
  static MOPROC_INLINE Vec load(const float* x, int base, float fill) {
    return each([&](int i) { return column(base, i) < COLUMNS ? x[column(base, i)] : fill; });
  }
  static MOPROC_INLINE void store(float* y, int base, Vec v) {
#pragma unroll
    for (int i = 0; i < 8; ++i)
      if (column(base, i) < COLUMNS) y[column(base, i)] = v.x[i];
  }
  /// Calls f(base) for the rounds of a row.
  template <class F>
  static MOPROC_INLINE void rounds(F f) {
#pragma unroll 1
    for (int base = 0; base < COLUMNS; base += round) f(base);
  }

  /// Combines `mine` of all threads of the row by a commutative `join` in a balanced tree; returns the result in every
  /// thread.
  template <class T, class J>
  static MOPROC_INLINE T join_all(T mine, J join) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2) mine = join(mine, mine.shuffled(step));
    if constexpr (threads == 32) return mine;
    constexpr int warps = threads / 32;
    T* const held = shared_array<T, warps>();
    __syncthreads();  // all threads have read the last result
    if (threadIdx.x % 32 == 0) held[threadIdx.x / 32] = mine;
    __syncthreads();
    T x[warps];
#pragma unroll
    for (int i = 0; i < warps; ++i) x[i] = held[i];
#pragma unroll
    for (int step = 1; step < warps; step *= 2)
#pragma unroll
      for (int i = 0; i < warps; i += 2 * step) x[i] = join(x[i], x[i + step]);
    return x[0];
  }

  struct Number {
    float x;
    MOPROC_INLINE Number shuffled(int step) const { return {__shfl_xor_sync(0xffffffffu, x, step)}; }
  };
  /// Sum of f(base) over the row; f must be zero past the end.
  template <class F>
  static MOPROC_INLINE float sum(F f) {
    Vec total;
    rounds([&](int base) { total = total + f(base); });
    return join_all(Number{sum_lanes(total)}, [](Number a, Number b) { return Number{__fadd_rn(a.x, b.x)}; }).x;
  }
  /// Largest of f(base) over the row; f must be -infinity past the end. NaN if any value is NaN.
  template <class F>
  static MOPROC_INLINE float largest(F f) {
    Vec best(__int_as_float(static_cast<int>(0xff800000u)));
    rounds([&](int base) { best = nan_max(best, f(base)); });
    float one = best.x[0];
#pragma unroll
    for (int i = 1; i < 8; ++i) one = nan_max(one, best.x[i]);
    // A NaN in a is returned as it is; if both are NaN, nan_max would return b's.
    return join_all(Number{one}, [](Number a, Number b) { return a.x == a.x ? Number{nan_max(a.x, b.x)} : a; }).x;
  }

  static MOPROC_INLINE float max_of(const float* x) {
    return largest([&](int base) { return load(x, base, __int_as_float(static_cast<int>(0xff800000u))); });
  }
  /// exp(x - max), zeros past the end.
  static MOPROC_INLINE Vec exponentials(const float* x, int base, float max) {
    return exp(load(x, base, __int_as_float(static_cast<int>(0xff800000u))) - Vec(max));
  }
};

/// Group of a row.
MOPROC_INLINE int64_t group_of(const Params& p, int64_t row) { return row / (p.rows / p.groups); }

/// Sum over the rows of a group in f64, by one warp: lane l adds rows l, l + 32, ... in order, then the lanes are
/// combined in a balanced tree. Returns the result in every lane.
template <class F>
MOPROC_INLINE double sum_over_group(const Params& p, int64_t group, F term) {
  const int64_t rows = p.rows / p.groups, end = (group + 1) * rows;
  double sum = 0;
#pragma unroll 4
  for (int64_t r = group * rows + threadIdx.x % 32; r < end; r += 32) sum += term(r);
#pragma unroll
  for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
  return sum;
}

}  // namespace moproc
