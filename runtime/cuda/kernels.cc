// Loading of kernels. The driver may postpone reading an image until one of its functions is asked for, so three calls
// can report that there is no code for this GPU.
#include "cuda/kernels.h"

#include <string>

#include "core/error.h"

namespace moproc::cuda {
namespace {

bool is_no_code(Result r) {
  return r == kNoBinaryForGpu || r == kInvalidImage || r == kInvalidPtx || r == kUnsupportedPtxVersion;
}

/// Whether this GPU runs the code for sm_90a, which runs only on compute capability 9.0 and is preferred there.
bool takes_hopper(const Plan& plan, const GpuInfo& gpu) {
  const std::string arch = std::string(",") + plan.arch + ",";
  return arch == ",emulator_sm_90a," ||
         (gpu.major == 9 && gpu.minor == 0 && arch.find(",sm_90a,") != std::string::npos);
}

}  // namespace

Kernels::Kernels(const Driver& driver, const Plan& plan, const GpuInfo& gpu)
    : driver_(driver), plan_(plan), gpu_(gpu), hopper_(takes_hopper(plan, gpu)) {
  for (const ImageInfo& image : plan.images) load(image);
  for (int32_t i = 0; i < plan.kernels.size; ++i) {
    const KernelInfo& k = plan.kernels[i];
    const int32_t shared = block(i).shared_bytes;
    if (shared > gpu.shared_bytes)
      throw InputError(std::string("kernel ") + k.symbol + " needs " + std::to_string(shared) +
                       " bytes of shared memory per block, " + gpu.show() + " has " + std::to_string(gpu.shared_bytes) +
                       "; compile with --target-arch sm_" + std::to_string(gpu.major) + std::to_string(gpu.minor));
    functions_.push_back(find(k));
    if (hopper_ && k.hopper_threads > 0) require_hopper(k, functions_.back());
    if (shared > 0) driver.function_attribute(functions_.back(), kFunctionMaxDynamicShared, shared);
  }
}

BlockSize Kernels::block(int kernel) const {
  const KernelInfo& k = plan_.kernels[kernel];
  if (hopper_ && k.hopper_threads > 0) return {k.hopper_threads, k.hopper_shared_bytes};
  return {k.threads, k.shared_bytes};
}

void Kernels::load(const ImageInfo& image) {
  LibraryHandle library = nullptr;
  const Result r = driver_.library_load.unchecked(&library, image.data, nullptr, nullptr, 0, nullptr, nullptr, 0);
  if (r != kSuccess) no_code(r, "cuLibraryLoadData");
  libraries_.emplace_back(driver_, library);
}

FunctionHandle Kernels::find(const KernelInfo& k) const {
  for (const Library& library : libraries_) {
    KernelHandle kernel = nullptr;
    const Result found = driver_.library_kernel.unchecked(&kernel, library.get(), k.symbol);
    if (found == kNotFound) continue;
    if (found != kSuccess) no_code(found, "cuLibraryGetKernel");
    FunctionHandle function = nullptr;
    const Result made = driver_.kernel_function.unchecked(&function, kernel);
    if (made != kSuccess) no_code(made, "cuKernelGetFunction");
    return function;
  }
  throw InputError(std::string(plan_.name) + ": no image of the artefact holds the kernel " + k.symbol);
}

/// The code for sm_90a has its own block size and tensor maps, so no other code may run in its place.
void Kernels::require_hopper(const KernelInfo& k, FunctionHandle function) const {
  int version = 0;  // 90 for code of sm_90 or sm_90a
  driver_.function_get(&version, kFunctionBinaryVersion, function);
  if (version == 90) return;
  throw InputError(std::string("kernel ") + k.symbol + " of " + plan_.name + ": the driver loaded code for sm_" +
                   std::to_string(version) + " on " + gpu_.show() +
                   ", which has code of its own for sm_90a: unset CUDA_FORCE_PTX_JIT, or compile with --target-arch "
                   "sm_80");
}

void Kernels::no_code(Result r, const char* call) const {
  const std::string said = std::string(call) + ": " + driver_.describe(r);
  if (!is_no_code(r)) throw CudaError(r, said + ", while loading the kernels of artefact " + plan_.name);
  const std::string arch = "sm_" + std::to_string(gpu_.major) + std::to_string(gpu_.minor);
  throw InputError(std::string(plan_.name) + " holds kernels for " + plan_.arch + ", none of which " + gpu_.show() +
                   " with a driver for CUDA " + show_version(driver_.version()) + " can run (" + said +
                   "): compile with --target-arch " + arch + " or, if the list has it, update the driver");
}

}  // namespace moproc::cuda
