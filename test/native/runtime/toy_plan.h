// A plan written by hand: a linear classifier with the same programs, inputs and outputs as compiled MoPro,
// small enough to check by eye. Surprising: the forward pass reads the derived copy of the weight, as
// compiled kernels do, so that state which was set but not refreshed shows.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "core/plan.h"

namespace moproc::test {

struct ToySizes {
  int64_t batch = 8, groups = 2, size = 4, classes = 5;
  bool supervised = false;  // one program `train` instead of the three of MoPro
  int64_t features() const { return size * size * 3; }
};

/// Owns everything a Plan points to.
class ToyPlan {
 public:
  explicit ToyPlan(ToySizes sizes = {});
  ToyPlan(const ToyPlan&) = delete;
  ToyPlan& operator=(const ToyPlan&) = delete;
  const Plan& plan() const { return plan_; }
  Plan& plan() { return plan_; }

 protected:
  int tensor(const std::string& name, DType dtype, Arena arena, std::vector<int64_t> shape);
  void state(const std::string& name, DType dtype, std::vector<int64_t> shape, Role role, InitKind init, double value,
             int copy_of = -1);
  int64_t offset_of(int tensor) const { return tensors_[static_cast<size_t>(tensor)].offset; }
  int64_t arena_bytes(Arena arena) const { return arena_[static_cast<int>(arena)]; }
  int kernel(const char* symbol, CpuEntry entry);
  void add_program(const std::string& name, std::vector<int32_t> in, std::vector<int32_t> out,
                   std::vector<StepInfo> steps);
  StepInfo launch(const char* name, int kernel, std::vector<int32_t> args, std::vector<int64_t> tasks);
  const char* keep(const std::string& text);
  template <class T>
  Span<T> keep(std::deque<std::vector<T>>& where, std::vector<T> values);

  /// Makes plan_ of the tables; again after more was added.
  void finish(const char* device, const char* arch);

  ToySizes z_;
  Plan plan_{};
  std::vector<KernelInfo> kernels_;

 private:
  void step_program(const char* name, bool proto, bool clean);
  void evaluate_program();
  void refresh_program();
  int hyper(const char* name);

  std::deque<std::string> texts_;
  std::deque<std::vector<int32_t>> indices_;
  std::deque<std::vector<int64_t>> sizes_;
  std::deque<std::vector<StepInfo>> steps_;
  std::vector<TensorInfo> tensors_;
  std::vector<StateInfo> states_;
  std::vector<ProgramInfo> programs_;
  std::vector<MetaInfo> meta_;
  int64_t arena_[4] = {};
};

}  // namespace moproc::test
