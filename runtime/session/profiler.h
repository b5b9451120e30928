// --profile: makes a table of the seconds of every step of every program. For a GPU, the table also has the bytes that
// the plan predicts and the share of the roofline.
#pragma once

#include <string>

#include "core/device.h"
#include "core/plan.h"
#include "core/step_times.h"

namespace moproc {

class Profiler {
 public:
  explicit Profiler(const Plan& plan) : plan_(plan), times_(plan) {}

  /// The seconds of the steps, to which the device adds.
  StepTimes& times() { return times_; }
  void reset() { times_.reset(); }
  /// Sets the roofline. If it is not zero, a step's share of it is max(bytes / bandwidth, flops / peak) / time.
  void set_roofline(const Roofline& r) { roofline_ = r; }

  /// For each program that ran: one line per template (ms per run, share, GFLOP/s, GB/s, calls) and one line for each
  /// of the `slowest` slowest steps, both slowest first. CUDA plans have TFLOP/s, predicted MB and the share of the
  /// roofline. Empty if nothing ran.
  std::string report(int slowest = 40) const;

 private:
  std::string report_program(int program, int slowest) const;

  const Plan& plan_;
  Roofline roofline_;
  StepTimes times_;
};

}  // namespace moproc
