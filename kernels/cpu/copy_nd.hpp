// Strided copies of up to six axes: transpose, slice, concat, and reshape across storage orders. Part i
// copies y[y_offset + sum d_j ys_j] = x_i[x_offset + sum d_j xs_j] over its extents. Elements are bytes, of
// any type. Tasks: runs of innermost lines, of about 16 Ki elements, of all parts one after the other. Memory
// bound.
//
// Constants: ELEMENT_BYTES (1, 2, 4 or 8), PARTS, DIMS, X_STRIDES, Y_STRIDES (six a part, outermost first, in
// elements; unused axes are 1 long; the outermost one is Params::rows long in every part, whatever DIMS says),
// X_OFFSETS, Y_OFFSETS (one a part), X_BUFFER or XS_BUFFERS[PARTS], Y_BUFFER. No scratch.
#pragma once

#include "common/params.h"
#include "cpu/lanes.hpp"

namespace moproc {

/// Elements of a task, about; a task is a number of innermost lines.
constexpr int64_t copy_elements = 16384;
MOPROC_INLINE constexpr int64_t copy_lines(int64_t line) { return line >= copy_elements ? 1 : copy_elements / line; }

template <class K>
MOPROC_INLINE constexpr int64_t copy_tasks(int part, int64_t rows) {
  const int64_t* d = K::DIMS + part * 6;
  const int64_t lines = rows * d[1] * d[2] * d[3] * d[4], block = copy_lines(d[5]);
  return (lines + block - 1) / block;
}

template <int BYTES>
struct CopyUnit;
template <>
struct CopyUnit<1> {
  using type = uint8_t;
};
template <>
struct CopyUnit<2> {
  using type = uint16_t;
};
template <>
struct CopyUnit<4> {
  using type = uint32_t;
};
template <>
struct CopyUnit<8> {
  using type = uint64_t;
};

/// One line of n elements.
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
  const int64_t *d = K::DIMS + part * 6, *xs = K::X_STRIDES + part * 6, *ys = K::Y_STRIDES + part * 6;
  const int64_t lines = p.rows * d[1] * d[2] * d[3] * d[4], block = copy_lines(d[5]);
  int buffer = 0;
  if constexpr (requires { K::XS_COUNT; }) buffer = K::XS_BUFFERS[part];
  else buffer = K::X_BUFFER;
  const T* const x = static_cast<const T*>(p.buf[buffer]) + K::X_OFFSETS[part];
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
