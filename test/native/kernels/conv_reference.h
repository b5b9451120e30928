// Naive convolutions in f64, for conv_test.
#pragma once

#include <cstdint>
#include <vector>

#include "native/each_tap.h"
#include "native/kernels/harness.h"

namespace moproc::test {

/// The sizes of a case.
struct Sizes {
  int64_t images, groups, c, h, w, out, p, q, r, s, stride, pad;
  int64_t x_pixels() const { return h * w; }
  int64_t y_pixels() const { return p * q; }
  int64_t weights() const { return out * r * s * c; }
};

/// The three convolutions in f64, from operands after their prologues.
using Values = std::vector<double>;
inline Values naive_fprop(const Sizes& d, int64_t images, const Tensor<float>& x, const Tensor<float>& w) {
  Values y(static_cast<size_t>(images * d.p * d.q * d.out));
  each_tap(d, images, [&](int64_t x_pixel, int64_t tap, int64_t y_pixel) {
    const int64_t xi = x_pixel * d.c, wi = tap * d.c, yi = y_pixel * d.out;
    for (int64_t k = 0; k < d.out; ++k) {
      double sum = 0;
      for (int64_t c = 0; c < d.c; ++c) sum += double(x[xi + c]) * w[k * d.r * d.s * d.c + wi + c];
      y[static_cast<size_t>(yi + k)] += sum;
    }
  });
  return y;
}
inline Values naive_dgrad(const Sizes& d, int64_t images, const Tensor<float>& dy, const Tensor<float>& w) {
  Values dx(static_cast<size_t>(images * d.h * d.w * d.c));
  each_tap(d, images, [&](int64_t x_pixel, int64_t tap, int64_t y_pixel) {
    const int64_t xi = x_pixel * d.c, wi = tap * d.c, yi = y_pixel * d.out;
    for (int64_t k = 0; k < d.out; ++k)
      for (int64_t c = 0; c < d.c; ++c)
        dx[static_cast<size_t>(xi + c)] += double(dy[yi + k]) * w[k * d.r * d.s * d.c + wi + c];
  });
  return dx;
}
inline Values naive_wgrad(const Sizes& d, int64_t images, const Tensor<float>& dy, const Tensor<float>& x) {
  Values dw(static_cast<size_t>(d.out * d.r * d.s * d.c));
  each_tap(d, images, [&](int64_t x_pixel, int64_t tap, int64_t y_pixel) {
    const int64_t xi = x_pixel * d.c, wi = tap * d.c, yi = y_pixel * d.out;
    for (int64_t k = 0; k < d.out; ++k)
      for (int64_t c = 0; c < d.c; ++c)
        dw[static_cast<size_t>(k * d.r * d.s * d.c + wi + c)] += double(dy[yi + k]) * x[xi + c];
  });
  return dw;
}

}  // namespace moproc::test
