// The steps of a plan's programs as launches. Arguments are bound once, because buffers never move.
#pragma once

#include <vector>

#include "core/plan.h"
#include "cuda/collectives.h"
#include "cuda/handles.h"
#include "cuda/kernels.h"
#include "cuda/params.h"

namespace moproc::cuda {

class Launches {
 public:
  /// `arenas` is indexed by Arena. `collectives` is null if there is only one rank. Throws InputError if a kernel has
  /// more arguments or scalars than Params can hold, or a launch has more blocks than a grid may have.
  Launches(const Driver& driver, const Plan& plan, const Kernels& kernels, const DevicePtr (&arenas)[4],
           const Collectives* collectives);

  DevicePtr address(int tensor) const;
  /// Enqueues all phases of a step on the stream.
  void enqueue(int program, int step, StreamHandle stream) const;
  /// Captures all steps of a program as one graph.
  GraphExec capture(int program, StreamHandle stream) const;

 private:
  Params bind(const ProgramInfo& p, const StepInfo& s) const;

  const Driver& driver_;
  const Plan& plan_;
  const Kernels& kernels_;
  const Collectives* const collectives_;
  DevicePtr arenas_[4];
  std::vector<std::vector<Params>> params_;  // by program, step
};

}  // namespace moproc::cuda
