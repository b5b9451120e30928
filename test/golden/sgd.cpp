#include "cpu/pointwise.hpp"

using namespace moproc;

// optimizer.fc.weight
//   0: f32[10,20] fc.weight
//   1: f32[10,20] optimizer.momentum.fc.weight
//   2: f32[10,20] fc'.matmul_1
//   3: f32[] lr
//   4: f32[] momentum
//   5: f32[] weight_decay
//   6: f32[] all_finite
//   7: f32[10,20] optimizer.fc.weight.sgd_v_new
//   8: f32[10,20] optimizer.fc.weight.sgd_p_new
namespace {
struct pointwise_sgd_3de388d2_K {
  static constexpr int PIXELS = 1;
  static constexpr int C = 1;
  static constexpr int FLAT = 1;
  struct Y {
    static constexpr int sums = 0;
    static constexpr int sum_buffer[] = {-1};
    static constexpr int mean_buffer = -1, m2_buffer = -1;
    static MOPROC_INLINE Vec store(const Params& p, const At& i, int lanes, Vec y, Vec* sum) {
      const Vec v0 = full<float, 1>(p, 0, i, lanes);        // fc.weight
      const Vec v1 = full<float, 1>(p, 1, i, lanes);        // optimizer.momentum.fc.weight
      const Vec v2 = full<float, 1>(p, 2, i, lanes);        // fc'.matmul_1
      const Vec v3 = scalar<float>(p, 3, i, lanes);         // lr
      const Vec v4 = scalar<float>(p, 4, i, lanes);         // momentum
      const Vec v5 = scalar<float>(p, 5, i, lanes);         // weight_decay
      const Vec v6 = scalar<float>(p, 6, i, lanes);         // all_finite
      const Vec v7 = select(v6 == Vec(0.0f), v1, fma(v4, v1, fma(v5, v0, v2 * Vec(1.0f)))); // sgd
      const Vec v8 = select(v6 == Vec(0.0f), v0, v0 - v3 * v7); // sgd
      put<float, 1>(p, 7, i, lanes, v7);
      put<float, 1>(p, 8, i, lanes, v8);
      return y;
    }
  };
};
}  // namespace
extern "C" void pointwise_sgd_3de388d2(const Params& p, const Task& t) { pointwise<pointwise_sgd_3de388d2_K>(p, t); }
