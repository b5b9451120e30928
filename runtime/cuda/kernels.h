// A plan's kernels, loaded from its embedded images: symbols become functions that can be launched.
#pragma once

#include <vector>

#include "core/plan.h"
#include "cuda/gpu.h"
#include "cuda/handles.h"

namespace moproc::cuda {

struct BlockSize {
  int32_t threads, shared_bytes;
};

class Kernels {
 public:
  /// Loads all of them for the current context, so that nothing is left to fail at a launch. Throws
  /// InputError when the images hold no code that this GPU and driver run, a kernel is in none of them or
  /// asks for more shared memory than there is.
  Kernels(const Driver& driver, const Plan& plan, const GpuInfo& gpu);

  FunctionHandle function(int kernel) const { return functions_[static_cast<size_t>(kernel)]; }
  /// Blocks of the code that this GPU takes.
  BlockSize block(int kernel) const;
  /// Whether that is the code for sm_90a, which reads tensor maps.
  bool hopper() const { return hopper_; }

 private:
  void load(const ImageInfo& image);
  FunctionHandle find(const KernelInfo& kernel) const;
  [[noreturn]] void no_code(Result result, const char* call) const;

  const Driver& driver_;
  const Plan& plan_;
  const GpuInfo& gpu_;
  bool hopper_;
  std::vector<Library> libraries_;
  std::vector<FunctionHandle> functions_;  // by Plan::kernels
};

}  // namespace moproc::cuda
