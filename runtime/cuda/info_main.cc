// moproc-gpu prints one line with the GPUs that the driver shows, for `moproc doctor`; `moproc-gpu count` their number;
// `moproc-gpu nccl` the NCCL with which several GPUs would share a step. If there are none, the exit status is 1 and
// stderr has the reason.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string_view>

#include "cuda/gpu.h"
#include "cuda/nccl.h"

int main(int argc, char** argv) {
  using namespace moproc;
  if (argc > 1 && std::string_view(argv[1]) == "nccl") try {
      const cuda::Nccl nccl;
      std::printf("%s, NCCL %s\n", nccl.path().c_str(), nccl.show_version().c_str());
      return 0;
    } catch (const std::exception& e) {
      std::fprintf(stderr, "%s\n", e.what());
      return 1;
    }
  const char* const other = std::getenv("MOPROC_CUDA_DRIVER");
  if (!other && !dlopen("libcuda.so.1", RTLD_LAZY)) {
    std::fputs("no NVIDIA driver (libcuda.so.1)\n", stderr);
    return 1;
  }
  try {
    Plan plan{};
    plan.name = "moproc-gpu";
    plan.arch = "any";
    const cuda::Driver driver(plan);
    if (argc > 1 && std::string_view(argv[1]) == "count") return std::printf("%d\n", driver.devices()) > 0 ? 0 : 1;
    for (int i = 0; i < driver.devices(); ++i) {
      const cuda::GpuInfo gpu = cuda::gpu_info(driver, i);
      std::printf("%s%s, compute capability %d.%d, %.1f GB", i > 0 ? "; " : "", gpu.name.c_str(), gpu.major, gpu.minor,
                  static_cast<double>(gpu.memory) / 1e9);
    }
    std::printf("; driver for CUDA %s\n", cuda::show_version(driver.version()).c_str());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
  return 0;
}
