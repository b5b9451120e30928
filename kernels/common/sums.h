// What both devices know of channel sums: which values a tile leaves in the workspace, and where.
#pragma once

#include "common/sizes.h"

namespace moproc {

/// Whether the epilogue Y wants the moments (mean, M2) of its result.
template <class Y>
inline constexpr bool has_moments = Y::mean_buffer >= 0 || Y::m2_buffer >= 0;
/// Values per channel that each tile leaves in the workspace: Y's sums, then mean and M2 if it wants them.
template <class Y>
inline constexpr int partial_values = Y::sums + (has_moments<Y> ? 2 : 0);

/// Channels of a row of partials: whole vectors of 16, whatever the register width.
MOPROC_BOTH constexpr int padded_channels(int c) { return (c + 15) / 16 * 16; }

/// Where tile `tile` of group `group` keeps its partials of channel `c`; value v is padded_channels(C) * v further on.
/// The workspace is f32 (group, tile, value, padded channel).
template <class Y, int C, class P>
MOPROC_BOTH float* tile_partial(const P& p, int64_t group, int64_t tiles, int64_t tile, int c) {
  constexpr int64_t size = static_cast<int64_t>(partial_values<Y>) * padded_channels(C);
  return static_cast<float*>(p.workspace) + (group * tiles + tile) * size + c;
}

}  // namespace moproc
