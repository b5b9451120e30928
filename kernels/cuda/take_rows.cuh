// y[i] = x[idx[i]]; whole rows of any type are copied as bytes. idx is a permutation of the rows. If an index is
// outside x, the row is filled with bytes 0xff (NaN, -1) and nothing is read. Mapping: one block per piece of 16 KiB of
// a row, in accesses of 16 bytes if the row size is a multiple of 16, with up to four reads of a thread in flight.
// Memory bound.
//
// Grid: rows * row_pieces(ROW_BYTES). Constants: ROW_BYTES, THREADS (256), X_BUFFER, IDX_BUFFER (i64[n]), Y_BUFFER.
// Params::rows = n.
#pragma once

#include "cuda/params.cuh"

namespace moproc {

/// Calls write(i, read(i)) for every THREADS-th i of [begin, end), from this thread's on; four are read before one is
/// written.
template <int THREADS, class Read, class Write>
MOPROC_INLINE void move_elements(int64_t begin, int64_t end, Read read, Write write) {
  int64_t i = begin + threadIdx.x;
#pragma unroll 1
  for (; i + 3 * THREADS < end; i += 4 * THREADS) {
    const auto a = read(i), b = read(i + THREADS), c = read(i + 2 * THREADS), d = read(i + 3 * THREADS);
    write(i, a);
    write(i + THREADS, b);
    write(i + 2 * THREADS, c);
    write(i + 3 * THREADS, d);
  }
#pragma unroll 1
  for (; i < end; i += THREADS) write(i, read(i));
}

constexpr int64_t row_piece = 16384;  // bytes
MOPROC_BOTH constexpr int64_t row_pieces(int64_t row_bytes) { return ceil_div(row_bytes, row_piece); }

template <int64_t BYTES>
struct RowUnit;  // the widest unit that rows are a multiple of
template <>
struct RowUnit<16> {
  using type = uint4;
  static MOPROC_INLINE uint4 ones() { return make_uint4(~0u, ~0u, ~0u, ~0u); }
};
template <>
struct RowUnit<4> {
  using type = unsigned;
  static MOPROC_INLINE unsigned ones() { return ~0u; }
};
template <>
struct RowUnit<1> {
  using type = uint8_t;
  static MOPROC_INLINE uint8_t ones() { return 0xff; }
};
MOPROC_BOTH constexpr int64_t row_unit(int64_t row_bytes) {
  return row_bytes % 16 == 0 ? 16 : row_bytes % 4 == 0 ? 4 : 1;
}

/// Writes this block's piece of row `to` of y: that of row `from` of x, or one bits if there is no such row.
template <int64_t ROW_BYTES, int THREADS>
MOPROC_INLINE void move_piece(const void* x, int64_t from, void* y, int64_t to, bool exists) {
  using U = RowUnit<row_unit(ROW_BYTES)>;
  using T = typename U::type;
  constexpr int64_t units = ROW_BYTES / static_cast<int64_t>(sizeof(T)),
                    piece = row_piece / static_cast<int64_t>(sizeof(T));
  const int64_t begin = blockIdx.x % row_pieces(ROW_BYTES) * piece;
  const T* const source = static_cast<const T*>(x) + from * units;
  T* const target = static_cast<T*>(y) + to * units;
  move_elements<THREADS>(
      begin, smaller(begin + piece, units), [&](int64_t i) { return exists ? source[i] : U::ones(); },
      [&](int64_t i, T v) { target[i] = v; });
}

template <class K>
__device__ void take_rows(const Params& p) {
  const int64_t row = blockIdx.x / row_pieces(K::ROW_BYTES), from = in<int64_t>(p, K::IDX_BUFFER)[row];
  move_piece<K::ROW_BYTES, K::THREADS>(p.buf[K::X_BUFFER], from, p.buf[K::Y_BUFFER], row, from >= 0 && from < p.rows);
}

}  // namespace moproc
