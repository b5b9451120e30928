#include "cpu/matmul.hpp"

using namespace moproc;

// fc
//   0: f32[32,20] x
//   1: f32[10,20] fc.weight
//   2: f32[10] fc.bias
//   3: f32[32,10] fc.add
namespace {
struct matmul_add_04a33134_K {
  static constexpr int TRANSPOSE_A = 0;
  static constexpr int TRANSPOSE_B = 1;
  static constexpr int N = 10;
  struct A {
    static constexpr int buffer = 0;
    using stored = float;
    static MOPROC_INLINE Vec load(const Params& p, const At& i, int lanes) {
      const Vec v0 = full<float, 20>(p, 0, i, lanes);       // x
      return v0;
    }
  };
  struct B {
    static constexpr int buffer = 1;
    using stored = float;
    static MOPROC_INLINE Vec load(const Params& p, const At& i, int lanes) {
      const Vec v0 = full<float, 20>(p, 1, i, lanes);       // fc.weight
      return v0;
    }
  };
  struct Y {
    static constexpr int sums = 0;
    static constexpr int sum_buffer[] = {-1};
    static constexpr int mean_buffer = -1, m2_buffer = -1;
    static MOPROC_INLINE Vec store(const Params& p, const At& i, int lanes, Vec y, Vec* sum) {
      const Vec v0 = channel<float>(p, 2, i, lanes);        // fc.bias
      const Vec v1 = y + v0;                                // add
      put<float, 10>(p, 3, i, lanes, v1);
      return y;
    }
  };
};
}  // namespace
extern "C" void matmul_add_04a33134(const Params& p, const Task& t) { matmul<matmul_add_04a33134_K>(p, t); }
