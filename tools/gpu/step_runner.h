// Runs the steps of a plan one by one: on a GPU, on the emulated driver or on the CPU. All memory can be read and
// written between them.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "core/plan.h"

namespace moproc::tools {

class StepRunner {
 public:
  virtual ~StepRunner() = default;

  /// What the kernels run on.
  virtual std::string shown() const = 0;
  /// Sets every byte of all arenas to 0xff, which is NaN in every floating-point type.
  virtual void spoil() = 0;
  /// Transfers whole tensors in stored order.
  virtual void write(int tensor, const std::byte* stored) = 0;
  virtual void read(int tensor, std::byte* stored) = 0;
  /// Runs one step, which is a launch or a copy, and waits for it.
  virtual void run(int program, int step) = 0;
};

/// For the plan's device; `gpu`: which, if it is one. Throws InputError if this machine cannot run the plan.
std::unique_ptr<StepRunner> make_step_runner(const Plan& plan, int gpu);

/// Tensors that a step names, each once.
std::vector<int> tensors_of(const StepInfo& step);

}  // namespace moproc::tools
