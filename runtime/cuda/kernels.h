// A plan's kernels, loaded from its embedded images by their symbols.
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
  /// Loads all kernels into the current context, so that none can fail to load at its first launch. Throws InputError
  /// if the images have no code that this GPU and driver can run, a kernel is in none of them, or a kernel needs more
  /// shared memory than a block can have, or the driver loaded other code than that for sm_90a.
  Kernels(const Driver& driver, const Plan& plan, const GpuInfo& gpu);

  FunctionHandle function(int kernel) const { return functions_[static_cast<size_t>(kernel)]; }
  /// The block size of the code that this GPU runs.
  BlockSize block(int kernel) const;
  /// Whether this GPU runs the code for sm_90a, which reads tensor maps.
  bool hopper() const { return hopper_; }

 private:
  void load(const ImageInfo& image);
  FunctionHandle find(const KernelInfo& kernel) const;
  void require_hopper(const KernelInfo& kernel, FunctionHandle function) const;
  [[noreturn]] void no_code(Result result, const char* call) const;

  const Driver& driver_;
  const Plan& plan_;
  const GpuInfo& gpu_;
  bool hopper_;
  std::vector<Library> libraries_;
  std::vector<FunctionHandle> functions_;  // in the order of Plan::kernels
};

}  // namespace moproc::cuda
