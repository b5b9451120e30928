// Any region of elementwise ops: y = body(leaves) over (rows, pixels, channels), with channel sums and moments. Tasks:
// tiles of pixels of one group (phase 0); channel vectors (phase 1, if there are sums or moments). Memory bound.
//
// Constants: PIXELS (per row), C, FLAT (1: every leaf has the domain's own shape or is one value, and nothing
// is summed: the domain is one run of rows * PIXELS * C elements, fewer than 2^31). struct Y: `store` gets
// Vec() as the raw result. Workspace: partials of groups * tiles (sums.hpp); no scratch.
#pragma once

#include "cpu/tile.hpp"

namespace moproc {

constexpr int64_t flat_chunk = 16384;  // elements of a task

/// Pixels per tile; `pixels` is the size of one group. A tile has about 64 Ki elements and 8 to 1024 pixels, and a
/// group has at least 32 tiles if it is large enough.
MOPROC_INLINE constexpr int64_t pointwise_tile(int64_t pixels, int64_t c) {
  int64_t tile = 65536 / c;
  if (tile > (pixels + 31) / 32) tile = (pixels + 31) / 32;
  if (tile > 1024) tile = 1024;
  return tile < 8 ? 8 : tile;
}

/// One run of elements: a position is (pixel 0, channel e), which is element e under any channel count.
template <class K>
static void pointwise_flat(const Params& p, const Task& t) {
  constexpr int W = Vec::width;
  int64_t e = t.begin * flat_chunk;
  const int64_t end = smaller(t.end * flat_chunk, p.rows * K::PIXELS * K::C);
  Vec none[1];
  for (; e + W <= end; e += W) K::Y::store(p, At{0, 0, 0, static_cast<int>(e)}, W, Vec(), none);
  if (e < end) K::Y::store(p, At{0, 0, 0, static_cast<int>(e)}, static_cast<int>(end - e), Vec(), none);
}

template <class K>
static void pointwise(const Params& p, const Task& t) {
  using Y = typename K::Y;
  if constexpr (K::FLAT) {
    static_assert(partial_values<Y> == 0, "pointwise: a flat domain has no channels to sum over");
    return pointwise_flat<K>(p, t);
  } else {
    const int64_t pixels = p.rows / p.groups * K::PIXELS, tile = pointwise_tile(pixels, K::C);
    const int64_t tiles = ceil_div(pixels, tile);
    if constexpr (partial_values<Y> > 0)
      if (t.phase == 1)
        return combine_partials<Y, K::C>(p, t, tiles, [&](int64_t i) { return smaller(i * tile, pixels); });
    for (int64_t task = t.begin; task < t.end; ++task) {
      const int64_t g = task / tiles, at = task % tiles * tile;
      run_tile<Y, K::C, K::PIXELS>(p, g, g * pixels + at, smaller(tile, pixels - at),
                                   tile_partial<Y, K::C>(p, g, tiles, task % tiles, 0),
                                   [](int64_t, int, int) { return Vec(); });
    }
  }
}

}  // namespace moproc
