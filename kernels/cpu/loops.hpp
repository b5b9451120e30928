// The general template: statements for each point of a space of any number of axes, in any element type. Points do not
// depend on each other. The emitted struct K has the statements (compiler/lower/templates/loops.ts).
//
// Tasks: BLOCK points, in the order of memory. Constants: POINTS, LINE (points of the innermost axis), BLOCK. Function
// K::line(p, t, line, from, to) computes the points from <= i < to of a line. Scratch: what K::line needs.
#pragma once

#include <algorithm>

#include "common/element.h"
#include "common/params.h"
#include "common/philox.h"

namespace moproc {

/// Orders the first k of n positions: those of the smallest values, or the largest, equal ones by position. A NaN is
/// larger than all numbers.
template <class T>
void sort_positions(int64_t* order, const T* v, int64_t n, int64_t k, bool largest) {
  const auto above = [v](int64_t a, int64_t b) { return v[a] > v[b] || (v[a] != v[a] && v[b] == v[b]); };
  const auto before = [&](int64_t a, int64_t b) {
    const bool first = largest ? above(a, b) : above(b, a), second = largest ? above(b, a) : above(a, b);
    return first || (!second && a < b);
  };
  std::partial_sort(order, order + k, order + n, before);
}

template <class K>
static void loops(const Params& p, const Task& t) {
  if constexpr (K::POINTS > 0) {
    int64_t at = t.begin * K::BLOCK;
    const int64_t end = smaller(t.end * K::BLOCK, K::POINTS);
    while (at < end) {
      const int64_t from = at % K::LINE, n = smaller(K::LINE - from, end - at);
      K::line(p, t, at / K::LINE, from, from + n);
      at += n;
    }
  }
}

}  // namespace moproc
