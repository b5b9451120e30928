// y[n, h, w, 0 .. PADDED) = x[n, h, w, 0 .. C), then zeros. Tasks: runs of pad_pixels pixels. Memory bound.
//
// Constants: PIXELS (h * w), C, PADDED, Y_BUFFER; Stored, float or bf16, the type of y. struct X: prologue over
// (n, h * w, c). No scratch, no workspace.
#pragma once

#include "cpu/sums.hpp"

namespace moproc {

constexpr int64_t pad_pixels = 4096;

template <class K>
static void pad_channels(const Params& p, const Task& t) {
  auto* const y = static_cast<typename K::Stored*>(p.buf[K::Y_BUFFER]);
  for (int64_t i = t.begin * pad_pixels; i < smaller(t.end * pad_pixels, p.rows * K::PIXELS); ++i) {
    const int64_t n = i / K::PIXELS;
    for (int c = 0; c < K::PADDED; c += Vec::width) {
      Vec x;
      if (c < K::C) x = operand<typename K::X, K::C>(p, At{i, n, n / (p.rows / p.groups), c}, lanes_of(K::C - c));
      const int lanes = lanes_of(K::PADDED - c), used = K::C - c;
      store_as(y + i * K::PADDED + c, x, lanes);
      for (int l = used < 0 ? 0 : used; l < lanes; ++l) y[i * K::PADDED + c + l] = 0;
    }
  }
}

}  // namespace moproc
