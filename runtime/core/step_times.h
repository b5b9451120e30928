// Sums of the time that each step of each program took. A device adds to them; session/profiler.h prints a table.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

#include "core/plan.h"

namespace moproc {

class StepTimes {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static Time now() { return std::chrono::steady_clock::now(); }

  explicit StepTimes(const Plan& plan) : runs_(plan.programs.size, 0) {
    for (const ProgramInfo& p : plan.programs) seconds_.emplace_back(p.steps.size, 0.0);
  }

  void add(int program, int step, std::chrono::duration<double> time) { seconds_[program][step] += time.count(); }
  void count_run(int program) { ++runs_[program]; }
  void reset() {
    std::fill(runs_.begin(), runs_.end(), 0);
    for (std::vector<double>& s : seconds_) std::fill(s.begin(), s.end(), 0.0);
  }

  int64_t runs(int program) const { return runs_[program]; }
  /// Seconds of each step of the program, summed over its runs.
  const std::vector<double>& seconds(int program) const { return seconds_[program]; }

 private:
  std::vector<std::vector<double>> seconds_;
  std::vector<int64_t> runs_;
};

}  // namespace moproc
