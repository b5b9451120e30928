#include "cpu/conv_fprop.hpp"

using namespace moproc;

// conv2
//   0: f32[4,24,9,9] conv1.conv
//   1: f32[2,24] bn1.mul
//   2: f32[2,24] bn1.sub
//   3: f32[8640] conv2.weight.pack_conv_fprop
//   4: f32[4,40,5,5] conv2.conv
//   5: f32[2,40] bn2.channel_moments_mean
//   6: f32[2,40] bn2.channel_moments_m2
namespace {
struct conv_fprop_affine_relu_d300253f_K {
  static constexpr int C = 24;
  static constexpr int H = 9;
  static constexpr int W = 9;
  static constexpr int OUT = 40;
  static constexpr int P = 5;
  static constexpr int Q = 5;
  static constexpr int R = 3;
  static constexpr int S = 3;
  static constexpr int STRIDE = 2;
  static constexpr int PAD = 1;
  using Element = F32;
  static constexpr int TILE_VECTORS = 2;
  static constexpr int TILE_PIXELS = 6;
  static constexpr int TAP_ROWS = 3;
  static constexpr int IMAGE_BLOCK = 8;
  static constexpr int ROW_BLOCK = 5;
  static constexpr int CHANNEL_PARTS = 1;
  static constexpr int PIXEL_SPAN = 24;
  struct X {
    static constexpr int buffer = -1;
    using stored = void;
    static MOPROC_INLINE Vec load(const Params& p, const At& i, int lanes) {
      const Vec v0 = stream<float, 24>(p, 0, i, lanes);     // conv1.conv
      const Vec v1 = group_channel<float, 24>(p, 1, i, lanes); // bn1.mul
      const Vec v2 = group_channel<float, 24>(p, 2, i, lanes); // bn1.sub
      const Vec v3 = fma(v0, v1, v2);                       // affine
      const Vec v4 = max(Vec(0.0f), v3);                    // relu
      return v4;
    }
  };
  static constexpr int W_BUFFER = 3;                // conv2.weight.pack_conv_fprop
  struct Y {
    static constexpr int sums = 0;
    static constexpr int sum_buffer[] = {-1};
    static constexpr int mean_buffer = 5, m2_buffer = 6;
    static MOPROC_INLINE void prefetch(const Params& p, const At& i, int channels) {
      moproc::prefetch<float, 40, 1>(p, 4, i, channels);
    }
    static MOPROC_INLINE Vec store(const Params& p, const At& i, int lanes, Vec y, Vec* sum) {
      put<float, 40>(p, 4, i, lanes, y);
      return y;
    }
  };
};
}  // namespace
extern "C" void conv_fprop_affine_relu_d300253f(const Params& p, const Task& t) { conv_fprop<conv_fprop_affine_relu_d300253f_K>(p, t); }
