// --profile: seconds of every step of every program, and the table made of them. For a GPU the table also has
// the bytes that the plan predicts and the share of what the GPU could do at most.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "core/device.h"
#include "core/plan.h"

namespace moproc {

class Profiler {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static Time now() { return std::chrono::steady_clock::now(); }

  explicit Profiler(const Plan& plan);

  void add(int program, int step, std::chrono::duration<double> time) {
    seconds_[program][step] += time.count();
  }
  void count_run(int program) { ++runs_[program]; }
  void reset();
  /// Where it is not zero, a step's share of the roofline is max(bytes / bandwidth, flops / peak) / time.
  void set_roofline(const Roofline& r) { roofline_ = r; }

  /// For each program that ran: a line a template (calls, ms a run, share, GFLOP/s, GB/s) and a line for each
  /// of the slowest steps, both slowest first. Empty when nothing ran. A CUDA plan: TFLOP/s, and predicted
  /// MB.
  std::string report(int slowest = 40) const;

 private:
  std::string report_program(int program, int slowest) const;

  const Plan& plan_;
  Roofline roofline_;
  std::vector<std::vector<double>> seconds_;
  std::vector<int64_t> runs_;
};

}  // namespace moproc
