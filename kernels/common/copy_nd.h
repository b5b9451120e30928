// The parts of copy_nd that both devices share: the extents of a copy's parts, and the integer type that moves an
// element of a given size.
#pragma once

#include "common/sizes.h"

namespace moproc {

/// Axes of a part, outermost first; the outermost extent is Params::rows.
constexpr int copy_axes = 6;

/// Number of innermost lines of a part per entry of the outermost axis.
template <class K>
MOPROC_BOTH constexpr int64_t copy_row_lines(int part) {
  const int64_t* d = K::DIMS + part * copy_axes;
  return d[1] * d[2] * d[3] * d[4];
}
/// Number of elements of a part per entry of the outermost axis.
template <class K>
MOPROC_BOTH constexpr int64_t copy_row_elements(int part) {
  return copy_row_lines<K>(part) * K::DIMS[part * copy_axes + 5];
}

/// The buffer that a part reads: K has one buffer for all parts (X_BUFFER) or one per part (XS_BUFFERS).
template <class K>
MOPROC_BOTH constexpr int copy_source(int part) {
  if constexpr (requires { K::XS_COUNT; }) {
    static_assert(K::XS_COUNT == K::PARTS, "copy_nd: a buffer for each part");
    return K::XS_BUFFERS[part];
  } else {
    return K::X_BUFFER;
  }
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

}  // namespace moproc
