// Repeats one step from one state. All sums have a fixed order, so equal inputs give equal bits: any difference is an
// error, most likely a race.
#pragma once

#include <string>
#include <vector>

#include "core/plan.h"

namespace moproc::tools {

struct Repeat {
  int runs = 0, different = 0;       // runs, and those whose results are not the first one's
  std::vector<std::string> tensors;  // outputs and states that differ, in the plan's order
  /// The first launch whose results differ if the launches run one by one: "step 12 NAME, kernel SYMBOL: tensor NAME".
  /// Empty if they do not differ then.
  std::string launch;
};

/// Runs `program` `runs` times from the state of init_state(1) with random inputs, as a captured graph, and compares
/// hashes of all outputs and all state. If they differ, looks for the launch in a few runs one by one.
Repeat repeat(const Plan& plan, const std::string& program, int runs, int gpu);

/// One line, or several with the tensors that differ.
std::string describe(const Repeat& r);

}  // namespace moproc::tools
