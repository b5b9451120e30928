// Any region of elementwise ops: y = body(leaves) over (rows, pixels, channels), with channel sums and moments.
// Memory bound.
//
// Mapping: channels innermost. A thread keeps one vector of 8 channels and strides over the pixels of its block's tile;
// in a round of two pixels, all loads precede all stores (HeldStores). Without sums a block is as wide as the channels
// (up to 2048); with sums it has at most 64 channels and a long tile, so that there are few partials.
//
// Constants: PIXELS (per row), C, FLAT (1: every leaf has the domain's own shape or is one value, and nothing is
// summed: the domain is one run of fewer than 2^31 elements, its leaves have C = 0), THREADS (256). struct Y: `store`
// gets Vec() as the raw result. Workspace: partials of groups * tiles (sums.cuh).
#pragma once

#include "cuda/sums.cuh"

namespace moproc {

constexpr int pointwise_threads = 256;
/// Vectors that a thread has in flight. If there are sums and moments together, the registers do not suffice for two.
template <class Y>
inline constexpr int pointwise_unroll = partial_values<Y> > 2 ? 1 : 2;
constexpr int64_t flat_chunk = 4096;  // elements of a block: 2 vectors per thread

/// Channel vectors side by side in a block (tx), and pixels at a time (ty).
MOPROC_BOTH constexpr int pointwise_tx(int c, bool sums) {
  return static_cast<int>(smaller((c + 7) / 8, sums ? 8 : pointwise_threads));
}
MOPROC_BOTH constexpr int pointwise_ty(int c, bool sums) { return pointwise_threads / pointwise_tx(c, sums); }
MOPROC_BOTH constexpr int64_t pointwise_channel_blocks(int c, bool sums) {
  return ceil_div((c + 7) / 8, pointwise_tx(c, sums));
}
/// Pixels per tile; `pixels` is the size of one group. With sums, about 1024 blocks, but at least 256 pixels (so that
/// partials are small beside the data read) and about 2048 at most (so that a thread's sums stay exact enough).
MOPROC_BOTH constexpr int64_t pointwise_tile(int64_t pixels, int c, bool sums) {
  const int64_t round = pointwise_ty(c, sums) * 4;
  if (!sums) return 2 * round;
  const int64_t tiles = larger(1, 1024 / pointwise_channel_blocks(c, sums));
  const int64_t wanted = larger(256, smaller(2048, ceil_div(pixels, tiles)));
  return ceil_div(wanted, round) * round;
}

/// One run of elements: a position is (pixel 0, channel e), which is element e under any channel count.
template <class K>
MOPROC_INLINE void pointwise_flat(const Params& p) {
  constexpr int UNROLL = pointwise_unroll<typename K::Y>, step = K::THREADS * 8;
  static_assert(flat_chunk == UNROLL * step, "pointwise: the flat chunk is what a block does at once");
  const int64_t size = p.rows * K::PIXELS * K::C;
  const int64_t e = blockIdx.x * flat_chunk + threadIdx.x * 8;
  Vec none[1];
  if ((blockIdx.x + 1) * flat_chunk <= size) {
    HeldStores held[UNROLL];
    int counts[UNROLL] = {};
#pragma unroll
    for (int u = 0; u < UNROLL; ++u)
      K::Y::store(p, At{0, 0, 0, static_cast<int>(e + u * step), &held[u], &counts[u]}, 8, Vec(), none);
#pragma unroll
    for (int u = 0; u < UNROLL; ++u) held[u].release(counts[u]);
    return;
  }
#pragma unroll 1
  for (int64_t at = e; at < size; at += step)
    K::Y::store(p, At{0, 0, 0, static_cast<int>(at)}, static_cast<int>(smaller(8, size - at)), Vec(), none);
}

/// Y::store for the pixels first + ty, + PIXEL_THREADS, ... of a tile, for the channels c .. c + 7.
template <class K, int PIXEL_THREADS>
MOPROC_INLINE void pointwise_pixels(const Params& p, int64_t group, int64_t first, int count, int ty, int c,
                                    ThreadSums<typename K::Y>& sums) {
  using Y = typename K::Y;
  constexpr int UNROLL = pointwise_unroll<Y>;
  const int lanes = K::C % 8 == 0 ? 8 : static_cast<int>(smaller(8, K::C - c));
  const auto body = [&](int i, HeldStores* held, int* count, Vec* term) {
    const int64_t pixel = first + i;
    return Y::store(p, At{pixel, static_cast<int64_t>(static_cast<uint32_t>(pixel) / K::PIXELS), group, c, held, count},
                    lanes, Vec(), term);
  };
  int i = ty;
#pragma unroll 1
  for (; i + (UNROLL - 1) * PIXEL_THREADS < count; i += UNROLL * PIXEL_THREADS) {
    HeldStores held[UNROLL];
    int counts[UNROLL] = {};
#pragma unroll
    for (int u = 0; u < UNROLL; ++u) {
      Vec term[Y::sums > 0 ? Y::sums : 1];
      const Vec stored = body(i + u * PIXEL_THREADS, &held[u], &counts[u], term);
      if constexpr (partial_values<Y> > 0) sums.add(term, stored);
    }
#pragma unroll
    for (int u = 0; u < UNROLL; ++u) held[u].release(counts[u]);
  }
#pragma unroll 1
  for (; i < count; i += PIXEL_THREADS) {
    Vec term[Y::sums > 0 ? Y::sums : 1];
    const Vec stored = body(i, nullptr, nullptr, term);
    if constexpr (partial_values<Y> > 0) sums.add(term, stored);
  }
}

template <class K>
MOPROC_INLINE void pointwise_tiles(const Params& p) {
  using Y = typename K::Y;
  constexpr bool sums = partial_values<Y> > 0;
  constexpr int CHANNEL_THREADS = pointwise_tx(K::C, sums), PIXEL_THREADS = pointwise_ty(K::C, sums);
  constexpr int wide = static_cast<int>(pointwise_channel_blocks(K::C, sums));
  const int64_t pixels = p.rows / p.groups * K::PIXELS, tile = pointwise_tile(pixels, K::C, sums);
  const int64_t tiles = ceil_div(pixels, tile), task = blockIdx.x / wide, g = task / tiles, at = task % tiles * tile;
  const int count = static_cast<int>(smaller(tile, pixels - at));
  const int tx = static_cast<int>(threadIdx.x) % CHANNEL_THREADS, ty = static_cast<int>(threadIdx.x) / CHANNEL_THREADS;
  const int c0 = static_cast<int>(blockIdx.x % wide) * CHANNEL_THREADS * 8, c = c0 + tx * 8;
  ThreadSums<Y> mine;
  if (ty < PIXEL_THREADS && c < K::C) pointwise_pixels<K, PIXEL_THREADS>(p, g, g * pixels + at, count, ty, c, mine);
  if constexpr (sums)
    store_tile<Y, K::C, CHANNEL_THREADS, PIXEL_THREADS>(
        mine, tile_partial<Y, K::C>(p, g, tiles, task % tiles, c0),
        static_cast<int>(smaller(CHANNEL_THREADS * 8, K::C - c0)),
        [&](int y) { return y < count ? (count - 1 - y) / PIXEL_THREADS + 1 : 0; });
}

template <class K>
__device__ void pointwise(const Params& p) {
  using Y = typename K::Y;
  static_assert(consistent<Y>, "pointwise: Y::sums and Y::sum_buffer disagree");
  static_assert(K::THREADS == pointwise_threads, "pointwise: blocks of 256 threads");
  if constexpr (K::FLAT) {
    static_assert(partial_values<Y> == 0, "pointwise: a flat domain has no channels to sum over");
    pointwise_flat<K>(p);
  } else if constexpr (partial_values<Y> == 0) {
    pointwise_tiles<K>(p);
  } else {
    if (p.phase == 0) return pointwise_tiles<K>(p);
    const int64_t pixels = p.rows / p.groups * K::PIXELS, tile = pointwise_tile(pixels, K::C, true);
    combine_partials<Y, K::C, K::THREADS>(p, ceil_div(pixels, tile),
                                          [&](int64_t i) { return smaller(i * tile, pixels); });
  }
}

}  // namespace moproc
