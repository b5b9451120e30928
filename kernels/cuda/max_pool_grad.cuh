// dx[n, h, w, c] = sum of dy over the windows whose maximum is this element. A window's gradient goes to its first
// maximum in row-major order (to its last NaN, if it has one), which is computed again here instead of stored by
// max_pool. Mapping: a block computes pool_tile rows of one image and up to 64 channels. It finds the winning taps of
// all windows that overlap its rows (one byte each, in shared memory); then every element adds the gradients of its
// windows in order. Bound by memory and by about 150 instructions per 8 elements of dx.
//
// Grid: rows * tiles * channel blocks, tiles = ceil(H / pool_tile), then combine_tasks if there are sums. Dynamic
// shared memory: pool_shared bytes. Constants: C, H, W, P, Q, KERNEL, STRIDE, PAD (of the forward pooling), THREADS
// (256). struct X, Dy: prologues over (n, h * w, c) and (n, p * q, c); struct Y: epilogue over (n, h * w, c), sums and
// moments. Workspace: partials of rows * tiles (sums.cuh).
#pragma once

#include "common/pool.h"
#include "cuda/max_pool.cuh"

namespace moproc {

MOPROC_BOTH constexpr int pool_tx(int c) { return static_cast<int>(smaller((c + 7) / 8, 8)); }
MOPROC_BOTH constexpr int64_t pool_channel_blocks(int c) { return ceil_div((c + 7) / 8, pool_tx(c)); }
MOPROC_BOTH constexpr int64_t pool_shared(int c, int kernel, int stride, int p, int q) {
  return int64_t{8} * pool_tx(c) * pool_windows(kernel, stride, p) * q;
}

/// The tap with the maximum of window (n, r, q), one byte per channel: row * KERNEL + column.
template <class K>
MOPROC_INLINE uint2 pool_winner(const Params& p, int64_t n, int64_t g, int r, int q, int c, int lanes) {
  Vec best;
  int winner[8] = {};
  bool first = true;
#pragma unroll
  for (int i = 0; i < K::KERNEL; ++i)
#pragma unroll
    for (int j = 0; j < K::KERNEL; ++j) {
      const int h = r * K::STRIDE - K::PAD + i, w = q * K::STRIDE - K::PAD + j;
      const bool inside = h >= 0 && h < K::H && w >= 0 && w < K::W;  // otherwise a neighbour is read and ignored
      const At at{(n * K::H + clamped(h, K::H)) * K::W + clamped(w, K::W), n, g, c};
      const Vec x = operand<typename K::X, K::C>(p, at, lanes);
#pragma unroll
      for (int l = 0; l < 8; ++l) {
        const bool wins = inside && (first || x.x[l] > best.x[l] || !(x.x[l] == x.x[l]));
        winner[l] = wins ? i * K::KERNEL + j : winner[l];
        best.x[l] = wins ? x.x[l] : best.x[l];
      }
      first = first && !inside;
    }
  uint2 bytes{0, 0};
#pragma unroll
  for (int l = 0; l < 4; ++l) {
    bytes.x |= static_cast<unsigned>(winner[l]) << (8 * l);
    bytes.y |= static_cast<unsigned>(winner[l + 4]) << (8 * l);
  }
  return bytes;
}

/// The part of a tile that a thread computes.
struct PoolPlace {
  int64_t n, g;
  int h0, first_window, windows;  // first row of dx; rows of windows that touch the tile
  int c, lanes, tx, ty;
};

template <class K, int CHANNEL_THREADS>
MOPROC_INLINE Vec pool_gather(const Params& p, const PoolPlace& at, int h, int w) {
  const uint2* const winners = reinterpret_cast<const uint2*>(shared_memory);
  const PoolCover down = pool_cover(h, K::STRIDE, K::PAD, K::KERNEL, K::P);
  const PoolCover across = pool_cover(w, K::STRIDE, K::PAD, K::KERNEL, K::Q);
  constexpr int most = (K::KERNEL + K::STRIDE - 1) / K::STRIDE;  // windows that cover an element, each way
  Vec sum;
#pragma unroll
  for (int i = 0; i < most; ++i)
#pragma unroll
    for (int j = 0; j < most; ++j) {
      const int r = down.begin + i, q = across.begin + j;
      const bool covers = r < down.end && q < across.end;  // otherwise a neighbour is read and ignored
      const auto tap = static_cast<unsigned>((h + K::PAD - r * K::STRIDE) * K::KERNEL + (w + K::PAD - q * K::STRIDE));
      const uint2 none{~0u, ~0u},
          winner = covers ? winners[((r - at.first_window) * K::Q + q) * CHANNEL_THREADS + at.tx] : none;
      const At window{(at.n * K::P + clamped(r, K::P)) * K::Q + clamped(q, K::Q), at.n, at.g, at.c};
      const Vec dy = operand<typename K::Dy, K::C>(p, window, at.lanes);
      sum = sum + each([&](int l) {
              return covers && ((l < 4 ? winner.x : winner.y) >> (l % 4 * 8) & 0xff) == tap ? dy.x[l] : 0.0f;
            });
    }
  return sum;
}

template <class K>
MOPROC_INLINE void max_pool_grad_tiles(const Params& p) {
  using Y = typename K::Y;
  constexpr int tiles = (K::H + pool_tile - 1) / pool_tile, wide = static_cast<int>(pool_channel_blocks(K::C));
  constexpr int CHANNEL_THREADS = pool_tx(K::C), PIXEL_THREADS = pool_threads / CHANNEL_THREADS;
  const int64_t images = p.rows / p.groups, task = blockIdx.x / wide;
  const int h0 = static_cast<int>(task % tiles) * pool_tile, h1 = h0 + pool_tile < K::H ? h0 + pool_tile : K::H;
  const int c0 = static_cast<int>(blockIdx.x % wide) * CHANNEL_THREADS * 8,
            tx = static_cast<int>(threadIdx.x) % CHANNEL_THREADS;
  const int first = pool_cover(h0, K::STRIDE, K::PAD, K::KERNEL, K::P).begin;
  const int last = pool_cover(h1 - 1, K::STRIDE, K::PAD, K::KERNEL, K::P).end;
  const int c = c0 + tx * 8, lanes = K::C % 8 == 0 ? 8 : static_cast<int>(smaller(8, K::C - c));
  const PoolPlace at{task / tiles,
                     task / tiles / images,
                     h0,
                     first,
                     last - first,
                     c,
                     lanes,
                     tx,
                     static_cast<int>(threadIdx.x) / CHANNEL_THREADS};
  const bool works = at.ty < PIXEL_THREADS && c < K::C;

  uint2* const winners = reinterpret_cast<uint2*>(shared_memory);
  if (works)
#pragma unroll 1
    for (int i = at.ty; i < at.windows * K::Q; i += PIXEL_THREADS)
      winners[i * CHANNEL_THREADS + tx] = pool_winner<K>(p, at.n, at.g, first + i / K::Q, i % K::Q, c, lanes);
  __syncthreads();

  const int count = (h1 - h0) * K::W;
  ThreadSums<Y> mine;
  if (works)
#pragma unroll 1
    for (int i = at.ty; i < count; i += PIXEL_THREADS) {
      const int h = h0 + i / K::W, w = i % K::W;
      Vec term[Y::sums > 0 ? Y::sums : 1];
      const Vec stored = Y::store(p, At{(at.n * K::H + h) * K::W + w, at.n, at.g, c}, lanes,
                                  pool_gather<K, CHANNEL_THREADS>(p, at, h, w), term);
      if constexpr (partial_values<Y> > 0) mine.add(term, stored);
    }
  if constexpr (partial_values<Y> > 0)
    store_tile<Y, K::C, CHANNEL_THREADS, PIXEL_THREADS>(
        mine, tile_partial<Y, K::C>(p, at.g, images * tiles, task - at.g * images * tiles, c0),
        static_cast<int>(smaller(CHANNEL_THREADS * 8, K::C - c0)),
        [&](int y) { return y < count ? (count - 1 - y) / PIXEL_THREADS + 1 : 0; });
}

template <class K>
__device__ void max_pool_grad(const Params& p) {
  using Y = typename K::Y;
  static_assert(consistent<Y>, "max_pool_grad: Y::sums and Y::sum_buffer disagree");
  static_assert(K::THREADS == pool_threads, "max_pool_grad: blocks of 256 threads");
  static_assert(K::KERNEL <= 15, "max_pool_grad: a tap of the window fits a byte");
  if constexpr (partial_values<Y> > 0)
    if (p.phase == 1) {
      constexpr int tiles = (K::H + pool_tile - 1) / pool_tile;
      return combine_partials<Y, K::C, K::THREADS>(p, p.rows / p.groups * tiles, [&](int64_t i) {
        return (i / tiles * K::H + smaller(i % tiles * pool_tile, K::H)) * K::W;
      });
    }
  max_pool_grad_tiles<K>(p);
}

}  // namespace moproc
