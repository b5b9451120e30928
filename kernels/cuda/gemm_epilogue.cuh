// The epilogue, from a block's sums to the stored result. Accumulators go through shared memory, so that Y::store gets
// 8 channels of one pixel and writes 16 bytes or more, whole rows of a tile at a time. Sums and moments of a run of
// tiles (the same columns, one tile after the other) are kept in shared memory; each run writes one partial to the
// workspace. Moments: deviations from the mean so far (from the first value, in the first tile) are summed; with n
// values in all, mean += d1 / n and M2 += d2 - d1^2 / n. The order of every sum follows from the tile's shape alone.
#pragma once

#include "cuda/gemm_tile.cuh"
#include "cuda/sums.cuh"

namespace moproc {

/// Position of row m of a tile in the result; `valid`: the result has that row.
struct Place {
  bool valid;
  int64_t pixel, row;
};

/// Stores tiles of K::TILE_ROWS x K::TILE_COLUMNS results with C channels in all, through shared memory from byte
/// SCRATCH. Y::operand_words: registers for the operands that Y::store reads. All workers of the block must take part.
template <class K, class Y, int C, int SCRATCH = 0>
struct Epilogue {
  static constexpr int workers = Path<K>::workers, vectors = K::TILE_COLUMNS / 8, lines = workers / vectors,
                       passes = ceil_div(K::TILE_ROWS, lines);
  static constexpr int values = partial_values<Y>, sums = Y::sums;
  static constexpr int staged_bytes = K::TILE_ROWS * K::TILE_COLUMNS * 4,
                       reduced_bytes = values * lines * K::TILE_COLUMNS * 4;
  static constexpr int scratch_bytes = larger(staged_bytes, reduced_bytes);
  static constexpr int state_bytes = values > 0 ? values* K::TILE_COLUMNS * 4 + 16 : 0;
  /// Rows that a thread has in flight: their operands and results must fit in registers beside the sums.
  static constexpr int most_rows = Y::operand_words <= 4 ? 4 : Y::operand_words <= 28 ? 2 : 1;
  static_assert(workers % vectors == 0 && K::TILE_COLUMNS <= workers, "a thread keeps its channels");

  float* const state;  // (value, column) of the run so far: sums, mean, M2; then the index of its partial, which would
                       // only take a register from the main loop
  const int column0;   // first column of the block
  int count;           // rows in the run so far
  int thread = 0;      // of this tile

  /// `rows`: rows of the run's tiles before this one.
  MOPROC_INLINE Epilogue(void* shared, int column, int rows = 0)
      : state(static_cast<float*>(shared)), column0(column), count(rows) {}

  /// Starts a run of tiles that will be partial `index` (group * runs + run) in the workspace.
  MOPROC_INLINE void begin(int index) {
    if constexpr (values > 0) {
      if (threadIdx.x == 0) *reinterpret_cast<int*>(state + values * K::TILE_COLUMNS) = index;
      if (static_cast<int>(threadIdx.x) < K::TILE_COLUMNS)
#pragma unroll
        for (int v = 0; v < values; ++v) state[v * K::TILE_COLUMNS + threadIdx.x] = 0.0f;
    }
  }

  /// Stores a tile of `rows` rows, row m at place(m), and adds it to the run. DENSE: all rows are valid. No thread may
  /// use shared memory from SCRATCH on when it begins, and none does when it returns.
  template <bool DENSE, class Product, class PlaceOf>
  MOPROC_INLINE void tile(const Params& p, const Product& product, int64_t group, int rows, PlaceOf place) {
    product.each_pair([](int row, int column, float x, float y) {
      *reinterpret_cast<float2*>(shared_memory + SCRATCH + staged_at(row, column)) = make_float2(x, y);
    });
    sync_workers<K>();
    thread = thread_anew();
    finish<DENSE>(p, group, rows, place);
  }

  /// The same for the results value(row, c), 8 channels each.
  template <class ValueOf, class PlaceOf>
  MOPROC_INLINE void tile_of(const Params& p, ValueOf value, int64_t group, int rows, PlaceOf place) {
    thread = thread_anew();
    sync_workers<K>();
#pragma unroll 1
    for (int row = line(); row < rows; row += lines) {  // each thread stages the values that it will read
      const int c = column0 + vector() * 8;
      if (c >= C) continue;
      const Vec y = value(row, c);
#pragma unroll
      for (int half = 0; half < 2; ++half)
        *reinterpret_cast<float4*>(shared_memory + SCRATCH + staged_at(row, vector() * 8 + 4 * half)) =
            make_float4(y.x[4 * half], y.x[4 * half + 1], y.x[4 * half + 2], y.x[4 * half + 3]);
    }
    finish<true>(p, group, rows, place);
  }

  /// Writes the run's sums and moments to the workspace.
  MOPROC_INLINE void end(const Params& p) const {
    if constexpr (values > 0) {
      const int column = thread_anew();
      if (column >= K::TILE_COLUMNS || column0 + column >= C) return;
      float* const to = tile_partial<Y, C>(p, 0, 0, *reinterpret_cast<const int*>(state + values * K::TILE_COLUMNS),
                                           column0 + column);
#pragma unroll
      for (int v = 0; v < values; ++v) to[v * padded_channels(C)] = state[v * K::TILE_COLUMNS + column];
    }
  }

 private:
  /// Stores the staged tile and adds it to the run.
  template <bool DENSE, class PlaceOf>
  MOPROC_INLINE void finish(const Params& p, int64_t group, int rows, PlaceOf place) {
    Vec sum[values > 0 ? values : 1];
    Vec mean;
    int pass = 0;
    if constexpr (has_moments<Y>) {
      float* const means = state + sums * K::TILE_COLUMNS + vector() * 8;
      if (count == 0) {  // deviations are from the first value of the run, which all threads need
        const Vec first = one(p, group, 0, rows, place, sum);
        if (line() == 0) store(means, first);
        sync_workers<K>();
        mean = load(means);
        if (line() < rows) deviate(sum, first, mean);
        pass = 1;
      } else {
        mean = load(means);
      }
    }
    if (DENSE && lines * passes == K::TILE_ROWS && C % 8 == 0 && pass == 0 && rows == K::TILE_ROWS) {
      whole(p, group, place, sum, mean);
    } else {
#pragma unroll 1
      for (; line() + pass * lines < rows; ++pass) deviate(sum, one(p, group, pass, rows, place, sum), mean);
    }
    count += rows;
    if constexpr (values > 0) reduce(sum);
    sync_workers<K>();
  }

  MOPROC_INLINE int vector() const { return thread % vectors; }
  MOPROC_INLINE int line() const { return thread / vectors; }

  /// Byte offset of an f32 of the staged tile. Vectors are permuted by row, so that neither the pairs that a warp
  /// writes nor the vectors that it reads conflict in a bank.
  MOPROC_INLINE static int staged_at(int row, int column) {
    constexpr int mask = vectors % 8 == 0 ? 7 : vectors % 4 == 0 ? 3 : vectors % 2 == 0 ? 1 : 0;
    const int v = column / 8 ^ (row & mask), chunk = 2 * v + (column / 4 % 2 ^ (v >> 2 & 1));
    return (row * K::TILE_COLUMNS + chunk * 4 + column % 4) * 4;
  }
  MOPROC_INLINE Vec staged(int row) const {
    Vec y;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float4 x =
          *reinterpret_cast<const float4*>(shared_memory + SCRATCH + staged_at(row, vector() * 8 + 4 * half));
      y.x[4 * half] = x.x, y.x[4 * half + 1] = x.y, y.x[4 * half + 2] = x.z, y.x[4 * half + 3] = x.w;
    }
    return y;
  }
  MOPROC_INLINE static void deviate(Vec* sum, const Vec& y, const Vec& mean) {
    if constexpr (has_moments<Y>) {
      const Vec d = y - mean;
      sum[sums] = sum[sums] + d;
      sum[sums + 1] = fma(d, d, sum[sums + 1]);
    }
  }

  /// Stores this thread's vector of one row; returns the value of Y::store.
  template <class PlaceOf>
  MOPROC_INLINE Vec body(const Params& p, int64_t group, int row, PlaceOf place, Vec* sum, HeldStores* held,
                         int* held_count) const {
    const int c = column0 + vector() * 8, lanes = C % 8 == 0 || C - c >= 8 ? 8 : C - c;
    const Place at = place(row);
    Vec stored, term[sums > 0 ? sums : 1];
    if (!at.valid) return stored;
    stored = Y::store(p, At{at.pixel, at.row, group, c, held, held_count}, lanes, staged(row), term);
#pragma unroll
    for (int v = 0; v < sums; ++v) sum[v] = sum[v] + term[v];
    return stored;
  }

  /// Stores row line() + pass * lines, if there is one.
  template <class PlaceOf>
  MOPROC_INLINE Vec one(const Params& p, int64_t group, int pass, int rows, PlaceOf place, Vec* sum) const {
    const int row = line() + pass * lines;
    if (row >= rows || column0 + vector() * 8 >= C) return Vec();
    return body(p, group, row, place, sum, nullptr, nullptr);
  }

  /// Stores all rows of a tile without tails, a few at a time: loads first, then stores.
  template <class PlaceOf>
  MOPROC_INLINE void whole(const Params& p, int64_t group, PlaceOf place, Vec* sum, const Vec& mean) const {
    constexpr int round = passes % most_rows == 0 ? most_rows : passes % 2 == 0 && most_rows > 1 ? 2 : 1;
    if (C % K::TILE_COLUMNS != 0 && column0 + vector() * 8 >= C) return;
#pragma unroll 1
    for (int pass = 0; pass < passes; pass += round) {
      HeldStores held[round];
      int counts[round] = {};
#pragma unroll
      for (int i = 0; i < round; ++i) {
        const int row = line() + (pass + i) * lines;
        deviate(sum, body(p, group, row, place, sum, &held[i], &counts[i]), mean);
      }
#pragma unroll
      for (int i = 0; i < round; ++i) held[i].release(counts[i]);
    }
  }

  /// Adds the threads' sums of a tile to the run's.
  MOPROC_INLINE void reduce(const Vec* sum) {
    float* const partial = reinterpret_cast<float*>(shared_memory + SCRATCH);  // (value, line, column)
    sync_workers<K>();
#pragma unroll
    for (int v = 0; v < values; ++v) store(partial + (v * lines + line()) * K::TILE_COLUMNS + vector() * 8, sum[v]);
    sync_workers<K>();
    const int column = thread;
    if (column >= K::TILE_COLUMNS) return;
    float total[values > 0 ? values : 1];
#pragma unroll
    for (int v = 0; v < values; ++v) {
      total[v] = 0.0f;
#pragma unroll 4
      for (int i = 0; i < lines; ++i) total[v] += partial[(v * lines + i) * K::TILE_COLUMNS + column];
    }
    float* const to = state + column;
#pragma unroll
    for (int v = 0; v < sums; ++v) to[v * K::TILE_COLUMNS] += total[v];
    if constexpr (has_moments<Y>) {
      const float d1 = total[sums], d2 = total[sums + 1], share = d1 / static_cast<float>(count);
      to[sums * K::TILE_COLUMNS] += share;
      to[(sums + 1) * K::TILE_COLUMNS] += d2 - d1 * share;
    }
  }
};

}  // namespace moproc
