// Strided copies of up to six axes: transpose, slice, concat, and reshape between storage orders. Part i copies
// y[y_offset + sum d_j ys_j] = x_i[x_offset + sum d_j xs_j] over its extents. Elements of any type are copied as bytes.
// Mapping: one block per run of copy_elements elements of a part in the order of its axes, of which each thread moves
// every 256th. Innermost lines that are contiguous and aligned on both sides move in units of 16 bytes. Memory bound if
// the innermost axis is contiguous, otherwise bound by memory sectors.
//
// Grid: copy_tasks<K>(part, rows) of all parts one after the other. Constants: ELEMENT_BYTES (1, 2, 4 or 8), PARTS,
// THREADS (256), DIMS, X_STRIDES, Y_STRIDES (six per part, outermost first, in elements; unused axes are 1 long; the
// outermost one is Params::rows long in every part, whatever DIMS says), X_OFFSETS, Y_OFFSETS (one per part), X_BUFFER
// or XS_BUFFERS[PARTS] and XS_COUNT, Y_BUFFER. Fewer than 2^31 elements per part.
#pragma once

#include "common/copy_nd.h"
#include "cuda/take_rows.cuh"

namespace moproc {

constexpr int64_t copy_elements = 4096;

MOPROC_BOTH constexpr int64_t copy_blocks(int64_t inner, int64_t rows) { return ceil_div(rows * inner, copy_elements); }
/// Number of blocks of a part; for the host, because device code has no arrays of K at run time.
template <class K>
constexpr int64_t copy_tasks(int part, int64_t rows) {
  return copy_blocks(copy_row_elements<K>(part), rows);
}

template <>
struct CopyUnit<16> {
  using type = uint4;
};

/// Elements per access: 16 bytes of them if every line of the part allows that, otherwise one.
template <class K, int PART>
MOPROC_BOTH constexpr int copy_width() {
  constexpr int64_t width = 16 / K::ELEMENT_BYTES;
  const int64_t *d = K::DIMS + PART * copy_axes, *xs = K::X_STRIDES + PART * copy_axes;
  const int64_t* ys = K::Y_STRIDES + PART * copy_axes;
  if (xs[5] != 1 || ys[5] != 1 || d[5] % width != 0) return 1;
  if (K::X_OFFSETS[PART] % width != 0 || K::Y_OFFSETS[PART] % width != 0) return 1;
  for (int j = 0; j < 5; ++j)
    if (xs[j] % width != 0 || ys[j] % width != 0) return 1;
  return static_cast<int>(width);
}

/// Adds the offset of index `left` of axes 0 .. AXIS to x_at and y_at, both in units of WIDTH elements.
template <class K, int PART, int WIDTH, int AXIS>
MOPROC_INLINE void copy_place(uint32_t left, int64_t& x_at, int64_t& y_at) {
  constexpr int k = PART * copy_axes + AXIS;
  constexpr int64_t xs = AXIS == 5 && WIDTH > 1 ? 1 : K::X_STRIDES[k] / WIDTH;
  constexpr int64_t ys = AXIS == 5 && WIDTH > 1 ? 1 : K::Y_STRIDES[k] / WIDTH;
  if constexpr (AXIS == 0) {
    x_at += left * xs;
    y_at += left * ys;
  } else {
    constexpr auto d = static_cast<uint32_t>(AXIS == 5 ? K::DIMS[k] / WIDTH : K::DIMS[k]);
    x_at += left % d * xs;
    y_at += left % d * ys;
    copy_place<K, PART, WIDTH, AXIS - 1>(left / d, x_at, y_at);
  }
}

/// Copies block `task` of a part.
template <class K, int PART>
MOPROC_INLINE void copy_part(const Params& p, int64_t task, int64_t inner) {
  constexpr int width = copy_width<K, PART>(), source = copy_source<K>(PART);
  constexpr int64_t x_offset = K::X_OFFSETS[PART] / width, y_offset = K::Y_OFFSETS[PART] / width;
  using T = typename CopyUnit<K::ELEMENT_BYTES * width>::type;
  const T* const x = in<T>(p, source) + x_offset;
  T* const y = out<T>(p, K::Y_BUFFER) + y_offset;
  const int64_t end = smaller((task + 1) * copy_elements, p.rows * inner) / width;
  struct Moved {
    T value;
    int64_t to;
  };
  move_elements<K::THREADS>(
      task * (copy_elements / width), end,
      [&](int64_t i) {
        int64_t x_at = 0, y_at = 0;
        copy_place<K, PART, width, 5>(static_cast<uint32_t>(i), x_at, y_at);
        return Moved{x[x_at], y_at};
      },
      [&](int64_t, const Moved& m) { y[m.to] = m.value; });
}

template <class K>
__device__ void copy_nd(const Params& p) {
  int64_t task = blockIdx.x;
  static_for<K::PARTS>([&](auto part) {
    constexpr int index = decltype(part)::value;
    constexpr int64_t inner = copy_row_elements<K>(index);
    const int64_t tasks = copy_blocks(inner, p.rows);
    if (task >= 0 && task < tasks) copy_part<K, index>(p, task, inner);
    task -= tasks;
  });
}

}  // namespace moproc
