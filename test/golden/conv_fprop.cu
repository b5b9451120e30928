#include "cuda/conv_fprop.cuh"

using namespace moproc;

// conv1
//   0: f32[4,8,9,9] x
//   1: bf16[192] conv1.weight.pack_conv_fprop
//   2: bf16[4,24,9,9] conv1.conv
//   3: f32[2,24] bn1.channel_moments_mean
//   4: f32[2,24] bn1.channel_moments_m2
namespace {
struct conv_fprop_bd8bdda6_K {
  static constexpr int C = 8;
  static constexpr int H = 9;
  static constexpr int W = 9;
  static constexpr int OUT = 24;
  static constexpr int P = 9;
  static constexpr int Q = 9;
  static constexpr int R = 1;
  static constexpr int S = 1;
  static constexpr int STRIDE = 1;
  static constexpr int PAD = 0;
  static constexpr int WEIGHT_CHANNELS = 8;
  using Operand = Bf16;
  static constexpr int TILE_ROWS = 128;
  static constexpr int TILE_COLUMNS = 64;
  static constexpr int STAGE_TERMS = 32;
  static constexpr int STAGES = 4;
  static constexpr int THREADS = 128;
  static constexpr int BLOCKS = 3;
  static constexpr int SHARED_BYTES = 49680;
  static constexpr int HOPPER_WORKERS = 128;
  static constexpr int HOPPER_THREADS = 256;
  static constexpr int HOPPER_STAGES = 3;
  static constexpr int HOPPER_BLOCKS = 2;
  static constexpr int HOPPER_SHARED_BYTES = 107072;
  static constexpr int W_MAP = 0;
  struct X {
    static constexpr int buffer = -1;
    using stored = void;
    static constexpr int reads = 1;
    static MOPROC_INLINE Vec load(const Params& p, const At& i, int lanes) {
      const Vec v0 = full<float, 8>(p, 0, i, lanes);        // x
      return v0;
    }
  };
  static constexpr int W_BUFFER = 1;                // conv1.weight.pack_conv_fprop
  struct Y {
    static constexpr int sums = 0;
    static constexpr int sum_buffer[] = {-1};
    static constexpr int mean_buffer = 3, m2_buffer = 4;
    static constexpr int operand_words = 0;
    static MOPROC_INLINE Vec store(const Params& p, const At& i, int lanes, Vec y, Vec* sum) {
      y = rounded<bf16>(y);
      put<bf16, 24>(p, 2, i, lanes, y);
      return y;
    }
  };
};
}  // namespace
extern "C" __global__ void __launch_bounds__(Path<conv_fprop_bd8bdda6_K>::threads, path_blocks<conv_fprop_bd8bdda6_K>()) conv_fprop_bd8bdda6(const __grid_constant__ Params p) { conv_fprop<conv_fprop_bd8bdda6_K>(p); }

// conv2
//   0: bf16[4,24,9,9] relu
//   1: bf16[8640] conv2.weight.pack_conv_fprop
//   2: bf16[4,40,5,5] conv2.conv
//   3: f32[2,40] bn2.channel_moments_mean
//   4: f32[2,40] bn2.channel_moments_m2
namespace {
struct conv_fprop_4e36825c_K {
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
  static constexpr int WEIGHT_CHANNELS = 24;
  using Operand = Bf16;
  static constexpr int TILE_ROWS = 256;
  static constexpr int TILE_COLUMNS = 64;
  static constexpr int STAGE_TERMS = 32;
  static constexpr int STAGES = 4;
  static constexpr int THREADS = 256;
  static constexpr int BLOCKS = 2;
  static constexpr int SHARED_BYTES = 82448;
  static constexpr int HOPPER_WORKERS = 256;
  static constexpr int HOPPER_THREADS = 384;
  static constexpr int HOPPER_STAGES = 4;
  static constexpr int HOPPER_BLOCKS = 1;
  static constexpr int HOPPER_SHARED_BYTES = 229968;
  static constexpr int W_MAP = 0;
  struct X {
    static constexpr int buffer = 0;
    using stored = bf16;
    static constexpr int reads = 1;
    static MOPROC_INLINE Vec load(const Params& p, const At& i, int lanes) {
      const Vec v0 = full<bf16, 24>(p, 0, i, lanes);        // relu
      return v0;
    }
  };
  static constexpr int W_BUFFER = 1;                // conv2.weight.pack_conv_fprop
  struct Y {
    static constexpr int sums = 0;
    static constexpr int sum_buffer[] = {-1};
    static constexpr int mean_buffer = 3, m2_buffer = 4;
    static constexpr int operand_words = 0;
    static MOPROC_INLINE Vec store(const Params& p, const At& i, int lanes, Vec y, Vec* sum) {
      y = rounded<bf16>(y);
      put<bf16, 40>(p, 2, i, lanes, y);
      return y;
    }
  };
};
}  // namespace
extern "C" __global__ void __launch_bounds__(Path<conv_fprop_4e36825c_K>::threads, path_blocks<conv_fprop_4e36825c_K>()) conv_fprop_4e36825c(const __grid_constant__ Params p) { conv_fprop<conv_fprop_4e36825c_K>(p); }
