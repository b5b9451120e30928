// The loops of a naive convolution, for the tests of CPU and CUDA kernels.
#pragma once

#include <cstdint>

namespace moproc::test {

/// Calls f(x pixel, tap, y pixel) for every tap inside the image. `d` has the sizes h, w, p, q, r, s, stride and pad.
template <class Sizes, class F>
void each_tap(const Sizes& d, int64_t images, F f) {
  for (int64_t n = 0; n < images; ++n)
    for (int64_t p = 0; p < d.p; ++p)
      for (int64_t q = 0; q < d.q; ++q)
        for (int64_t r = 0; r < d.r; ++r)
          for (int64_t s = 0; s < d.s; ++s) {
            const int64_t h = p * d.stride + r - d.pad, w = q * d.stride + s - d.pad;
            if (h < 0 || h >= d.h || w < 0 || w >= d.w) continue;
            f((n * d.h + h) * d.w + w, r * d.s + s, (n * d.p + p) * d.q + q);
          }
}

}  // namespace moproc::test
