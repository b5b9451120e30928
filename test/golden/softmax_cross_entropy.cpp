#include "cpu/softmax_cross_entropy.hpp"

using namespace moproc;

// <top>
//   0: f32[32,10] fc.add
//   1: i64[32] target
//   2: f32[32] constant
//   3: f32[1] loss
namespace {
struct softmax_cross_entropy_a68a4f71_K {
  static constexpr int COLUMNS = 10;
  static constexpr int LOGITS_BUFFER = 0;           // fc.add
  static constexpr int TARGET_BUFFER = 1;           // target
  static constexpr int WEIGHT_BUFFER = 2;           // constant
  static constexpr int LOSS_BUFFER = 3;             // loss
};
}  // namespace
extern "C" void softmax_cross_entropy_a68a4f71(const Params& p, const Task& t) { softmax_cross_entropy<softmax_cross_entropy_a68a4f71_K>(p, t); }
