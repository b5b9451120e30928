// --profile: the table made of the seconds of every step of every program. For a GPU the table also has the bytes that
// the plan predicts and the share of what the GPU could do at most.
#pragma once

#include <string>

#include "core/device.h"
#include "core/plan.h"
#include "core/step_times.h"

namespace moproc {

class Profiler {
 public:
  explicit Profiler(const Plan& plan) : plan_(plan), times_(plan) {}

  /// What the device adds to.
  StepTimes& times() { return times_; }
  void reset() { times_.reset(); }
  /// Where it is not zero, a step's share of the roofline is max(bytes / bandwidth, flops / peak) / time.
  void set_roofline(const Roofline& r) { roofline_ = r; }

  /// For each program that ran: one line per template (calls, ms per run, share, GFLOP/s, GB/s) and one line for each
  /// of the slowest steps, both slowest first. Empty if nothing ran. For a CUDA plan: TFLOP/s, and predicted MB.
  std::string report(int slowest = 40) const;

 private:
  std::string report_program(int program, int slowest) const;

  const Plan& plan_;
  Roofline roofline_;
  StepTimes times_;
};

}  // namespace moproc
