// Training steps on a GPU beside the same steps on the CPU, each from the CPU's state: from there on two right programs
// differ by rounding alone, while over many steps a network this small takes rounding anywhere.
#pragma once

#include <string>
#include <vector>

#include "core/plan.h"

namespace moproc::tools {

struct StepLoss {
  std::string program;
  double got = 0, want = 0;  // means over the groups
  double error() const;      // relative; NaN where either is no number
};

/// Runs the steps of a file one after the other; `cpu` is the plan of the same programs for this CPU. A safetensors
/// file: metadata `steps` (programs, separated by blanks); tensors "I NAME" (input NAME of step I). State begins as
/// init_state(1).
std::vector<StepLoss> run_steps(const Plan& plan, const Plan& cpu, const std::string& path, int gpu);

}  // namespace moproc::tools
