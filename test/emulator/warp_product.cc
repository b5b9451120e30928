// Here and not in the header, because kernels are compiled without most optimizations, and this takes most of the time
// of kernels that multiply matrices.
#include "warp_product.h"

#include <bit>

#pragma GCC optimize("O3")  // six times as fast as O2
#pragma GCC target("avx2")  // without FMA, which would leave out a rounding

namespace emulator {

namespace {

using Row = float __attribute__((vector_size(32)));

/// Adds the products of matrices that were read from the registers. The vectors change no bit, because each element is
/// summed over k in order.
template <int K>
__attribute__((always_inline)) inline void add(const float (&a)[16][K], const float (&b)[K][8],
                                               const Fragments* const* in, WarpSums* const* out) {
  Row right[K];
  for (int k = 0; k < K; ++k)
    for (int j = 0; j < 8; ++j) right[k][j] = b[k][j];
  for (int row = 0; row < 16; ++row) {
    const int first = row % 8 * 4, e = row / 8 * 2;  // its lanes have two columns each, in d[e] and d[e + 1]
    Row sum;
    for (int j = 0; j < 8; ++j) sum[j] = in[first + j / 2]->d[e + j % 2];
    for (int k = 0; k < K; ++k) sum += a[row][k] * right[k];
    for (int j = 0; j < 8; ++j) out[first + j / 2]->d[e + j % 2] = sum[j];
  }
}

float low_half(uint32_t pair) { return std::bit_cast<float>(pair << 16); }
float high_half(uint32_t pair) { return std::bit_cast<float>(pair & 0xffff0000u); }
float cut(uint32_t x) { return std::bit_cast<float>(x & 0xffffe000u); }

}  // namespace

void product_of_bf16(const Fragments* const* in, WarpSums* const* out) {
  float a[16][16], b[16][8];
  for (int g = 0; g < 8; ++g)
    for (int t = 0; t < 4; ++t) {
      const Fragments& lane = *in[4 * g + t];
      for (int i = 0; i < 4; ++i) {
        const int row = g + i % 2 * 8, k = 2 * t + i / 2 * 8;
        a[row][k] = low_half(lane.a[i]);
        a[row][k + 1] = high_half(lane.a[i]);
      }
      for (int i = 0; i < 2; ++i) {
        b[2 * t + 8 * i][g] = low_half(lane.b[i]);
        b[2 * t + 8 * i + 1][g] = high_half(lane.b[i]);
      }
    }
  add<16>(a, b, in, out);
}

void product_of_tf32(const Fragments* const* in, WarpSums* const* out) {
  float a[16][8], b[8][8];
  for (int g = 0; g < 8; ++g)
    for (int t = 0; t < 4; ++t) {
      const Fragments& lane = *in[4 * g + t];
      for (int i = 0; i < 4; ++i) a[g + i % 2 * 8][t + i / 2 * 4] = cut(lane.a[i]);
      for (int i = 0; i < 2; ++i) b[t + 4 * i][g] = cut(lane.b[i]);
    }
  add<8>(a, b, in, out);
}

}  // namespace emulator
