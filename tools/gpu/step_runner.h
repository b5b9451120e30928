// Runs the steps of a CUDA plan one by one, on a GPU or on the emulated driver; all memory can be read and written
// between them.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/plan.h"
#include "cuda/gpu.h"
#include "cuda/handles.h"
#include "cuda/kernels.h"
#include "cuda/launches.h"

namespace moproc::tools {

class StepRunner {
 public:
  /// Throws InputError if the plan is not for CUDA, there is no driver or GPU, or it cannot run the plan.
  StepRunner(const Plan& plan, int gpu);

  const cuda::GpuInfo& gpu() const { return gpu_.info(); }
  /// Sets every byte of all arenas to 0xff, which is NaN in every floating-point type.
  void spoil();
  /// Transfers whole tensors in stored order.
  void write(int tensor, const std::byte* stored);
  void read(int tensor, std::byte* stored);
  /// Runs one step and waits for it.
  void run(int program, int step);

 private:
  struct Arenas {
    cuda::Memory memory[4];
    cuda::DevicePtr address[4];
  };
  Arenas make_arenas() const;

  const Plan& plan_;
  cuda::Driver driver_;
  cuda::Gpu gpu_;
  cuda::Kernels kernels_;
  cuda::Stream stream_;
  Arenas arenas_;
  cuda::Launches launches_;
};

/// Tensors that a step names, each once.
std::vector<int> tensors_of(const StepInfo& step);

}  // namespace moproc::tools
