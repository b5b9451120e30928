// What an epilogue asks for and how an operand is read: the few definitions all templates with fused bodies
// share.
#pragma once

#include "cpu/lanes.hpp"
#include "cpu/leaf.hpp"
#include "cpu/math.hpp"

namespace moproc {

/// Whether Y wants the moments of its result, and how many values a channel each tile leaves for phase 1.
template <class Y> inline constexpr bool has_moments = Y::mean_buffer >= 0 || Y::m2_buffer >= 0;
template <class Y> inline constexpr int partial_values = Y::sums + (has_moments<Y> ? 2 : 0);

/// Element (at, lanes) of an operand with C channels: its prologue, or a plain load where it has none.
template <class X, int64_t C> MOPROC_INLINE Vec operand(const Params& p, const At& at, int lanes) {
  if constexpr (X::buffer >= 0) return load(in<float>(p, X::buffer) + at.pixel * C + at.c, lanes);
  else return X::load(p, at, lanes);
}

}  // namespace moproc
