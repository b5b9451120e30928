// Strided copies of up to six axes: transpose, slice, concat, and reshape between storage orders. Part i copies
// y[y_offset + sum d_j ys_j] = x_i[x_offset + sum d_j xs_j] over its extents. Elements of any type are copied as bytes.
// Tasks: runs of innermost lines with about 16 Ki elements, part after part. Memory bound.
//
// Constants: ELEMENT_BYTES (1, 2, 4 or 8), PARTS, DIMS, X_STRIDES, Y_STRIDES (six per part, outermost first, in
// elements; unused axes are 1 long; the outermost one is Params::rows long in every part, whatever DIMS says),
// X_OFFSETS, Y_OFFSETS (one per part), X_BUFFER or XS_BUFFERS[PARTS], Y_BUFFER. No scratch.
#pragma once

#include "common/copy_nd.h"
#include "common/params.h"
#include "cpu/lanes.hpp"

namespace moproc {

/// Approximate number of elements per task; a task is a whole number of innermost lines.
constexpr int64_t copy_elements = 16384;
MOPROC_INLINE constexpr int64_t copy_lines(int64_t line) { return line >= copy_elements ? 1 : copy_elements / line; }

template <class K>
MOPROC_INLINE constexpr int64_t copy_tasks(int part, int64_t rows) {
  return ceil_div(rows * copy_row_lines<K>(part), copy_lines(K::DIMS[part * copy_axes + 5]));
}

/// Copies one line of n elements; strides are in elements.
template <class T>
MOPROC_INLINE void copy_line(const T* x, int64_t x_stride, T* y, int64_t y_stride, int64_t n) {
  if (x_stride == 1 && y_stride == 1) {
    __builtin_memcpy(y, x, static_cast<size_t>(n) * sizeof(T));
    return;
  }
  for (int64_t i = 0; i < n; ++i) y[i * y_stride] = x[i * x_stride];
}

template <class K>
static void copy_part(const Params& p, int part, int64_t task) {
  using T = typename CopyUnit<K::ELEMENT_BYTES>::type;
  const int64_t *d = K::DIMS + part * copy_axes, *xs = K::X_STRIDES + part * copy_axes;
  const int64_t* ys = K::Y_STRIDES + part * copy_axes;
  const int64_t lines = p.rows * copy_row_lines<K>(part), block = copy_lines(d[5]);
  const T* const x = static_cast<const T*>(p.buf[copy_source<K>(part)]) + K::X_OFFSETS[part];
  T* const y = static_cast<T*>(p.buf[K::Y_BUFFER]) + K::Y_OFFSETS[part];
  for (int64_t line = task * block; line < smaller((task + 1) * block, lines); ++line) {
    int64_t left = line, x_at = 0, y_at = 0;
    for (int axis = 4; axis > 0; --axis) {
      const int64_t i = left % d[axis];
      left /= d[axis];
      x_at += i * xs[axis];
      y_at += i * ys[axis];
    }
    x_at += left * xs[0];
    y_at += left * ys[0];
    copy_line(x + x_at, xs[5], y + y_at, ys[5], d[5]);
  }
}

template <class K>
static void copy_nd(const Params& p, const Task& t) {
  for (int64_t task = t.begin; task < t.end; ++task) {
    int part = 0;
    int64_t in_part = task;
    while (in_part >= copy_tasks<K>(part, p.rows)) in_part -= copy_tasks<K>(part++, p.rows);
    copy_part<K>(p, part, in_part);
  }
}

}  // namespace moproc
