// The layout of channel sums in the workspace on both devices: which values a tile writes, and where.
#pragma once

#include "common/sizes.h"

namespace moproc {

/// Whether the epilogue Y stores the moments (mean, M2) of its result.
template <class Y>
inline constexpr bool has_moments = Y::mean_buffer >= 0 || Y::m2_buffer >= 0;
/// Values per channel that each tile writes to the workspace: Y's sums, then mean and M2 if Y stores moments.
template <class Y>
inline constexpr int partial_values = Y::sums + (has_moments<Y> ? 2 : 0);

/// Channels per row of partials: c rounded up to a multiple of 16, for every register width.
MOPROC_BOTH constexpr int padded_channels(int c) { return (c + 15) / 16 * 16; }

/// Address of the partials of channel `c` from tile `tile` of group `group`; value v is padded_channels(C) * v floats
/// further on.
template <class Y, int C, class P>
MOPROC_BOTH float* tile_partial(const P& p, int64_t group, int64_t tiles, int64_t tile, int c) {
  constexpr int64_t size = static_cast<int64_t>(partial_values<Y>) * padded_channels(C);
  return static_cast<float*>(p.workspace) + (group * tiles + tile) * size + c;
}

}  // namespace moproc
