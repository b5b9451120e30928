// Training steps on a GPU beside the same steps on the CPU, each from the CPU's state. From equal state two correct
// programs differ only by rounding, while over many steps a network this small amplifies rounding without limit.
#pragma once

#include <string>
#include <vector>

#include "core/plan.h"

namespace moproc::tools {

struct StepLoss {
  std::string program;
  double got = 0, want = 0;  // means over the groups
  double error() const;      // relative; NaN if either is not a number
};

/// Runs the steps of a file one after the other; `cpu` is the plan of the same programs for this CPU. A safetensors
/// file: metadata `steps` (programs, separated by blanks); tensors "I NAME" (input NAME of step I). The initial state
/// is that of init_state(1).
std::vector<StepLoss> run_steps(const Plan& plan, const Plan& cpu, const std::string& path, int gpu);

}  // namespace moproc::tools
