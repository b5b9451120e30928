// y[o, i] = sum or maximum over r of x[o, r, i]. The middle axis is divided into tiles of fixed length. Each tile is
// reduced in a fixed order, then the tiles in a balanced tree. Tasks: phase 0 (outer, tile), phase 1 (outer) if there
// is more than one tile. Memory bound.
//
// Constants: KIND (0 sum, 1 max), X_BUFFER, Y_BUFFER. Params::extent = {outer, red, inner}. A maximum is NaN
// if any element is. Workspace, if there is more than one tile: outer * tiles * inner floats. No scratch.
#pragma once

#include "cpu/lanes.hpp"
#include "cpu/leaf.hpp"

namespace moproc {

/// Length of a tile along the reduced axis: about 16 Ki elements.
MOPROC_INLINE constexpr int64_t reduce_tile(int64_t inner) {
  const int64_t tile = 16384 / inner;
  return tile < 16 ? 16 : tile;
}

template <class K>
MOPROC_INLINE Vec reduce_join(Vec a, Vec b) {
  if constexpr (K::KIND == 1) return nan_max(a, b);
  else return a + b;
}

/// y (inner) = x (rows, inner) reduced over rows in order; a single column is reduced in 64 interleaved parts
/// (lanes.hpp).
template <class K>
static void reduce_part(const float* x, int64_t rows, int64_t inner, float* y) {
  if (inner == 1) {
    const auto element = [&](int64_t c, int lanes) { return load(x + c, lanes); };
    *y = K::KIND == 1 ? max_over(rows, element) : sum_over(rows, element);
    return;
  }
  for (int64_t c = 0; c < inner; c += Vec::width) {
    const int lanes = lanes_of(inner - c);
    Vec sum = load(x + c, lanes);
    for (int64_t r = 1; r < rows; ++r) sum = reduce_join<K>(sum, load(x + r * inner + c, lanes));
    store(y + c, sum, lanes);
  }
}

template <class K>
static void reduce(const Params& p, const Task& t) {
  const int64_t red = p.extent[1], inner = p.extent[2], tile = reduce_tile(inner), tiles = ceil_div(red, tile);
  const float* const x = in<float>(p, K::X_BUFFER);
  float* const y = static_cast<float*>(p.buf[K::Y_BUFFER]);
  float* const parts = tiles > 1 ? static_cast<float*>(p.workspace) : y;  // (outer, tile, inner)
  if (t.phase == 0) {
    for (int64_t task = t.begin; task < t.end; ++task) {
      const int64_t o = task / tiles, r = task % tiles * tile;
      reduce_part<K>(x + (o * red + r) * inner, smaller(tile, red - r), inner, parts + task * inner);
    }
    return;
  }
  for (int64_t o = t.begin; o < t.end; ++o) {
    float* const a = parts + o * tiles * inner;
    for (int64_t c = 0; c < inner; c += Vec::width) {
      const int lanes = lanes_of(inner - c);
      for (int64_t step = 1; step < tiles; step *= 2)
        for (int64_t i = 0; i + step < tiles; i += 2 * step) {
          float* const at = a + i * inner + c;
          store(at, reduce_join<K>(load(at, lanes), load(at + step * inner, lanes)), lanes);
        }
      store(y + o * inner + c, load(a + c, lanes), lanes);
    }
  }
}

}  // namespace moproc
