// The toy plan for CUDA: same tables and results, kernels in an image made of toy.cu; and two programs more,
// `mix` (copies, phases without blocks, large shared memory, scalars, a workspace) and `wild` (a bad
// address).
#pragma once

#include "toy_plan.h"

namespace moproc::test {

class CudaToyPlan : public ToyPlan {
 public:
  static constexpr int64_t kBlock = 100, kBlocks = 3, kMix = kBlock * kBlocks;

  explicit CudaToyPlan(ToySizes sizes = {});
  /// mix: y = x * scale * 0.5; total = the sum of y; running_var += total. What the kernels compute, to the
  /// bit.
  static float mix_total(const std::vector<float>& x, float scale);

 private:
  void mix_program();
  std::deque<std::vector<int32_t>> more_indices_;
  std::string bytes_[2];
  ImageInfo images_[2];  // the first holds none of the kernels: each is looked for in all
};

}  // namespace moproc::test
