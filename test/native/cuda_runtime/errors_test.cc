// The messages if the GPU, its driver or the artefact does not fit.
#include <dlfcn.h>

#include <cstdlib>

#include "core/error.h"
#include "cuda/driver.h"
#include "cuda_support.h"
#include "tap.h"

using namespace moproc;
using namespace moproc::test;

namespace {

/// The message of the InputError that a session over the plan ends with.
std::string refusal(const Plan& plan, SessionOptions options = {}) {
  try {
    Session s(plan, options);
  } catch (const InputError& e) {
    return e.what();
  }
  return "nothing was thrown";
}

void has(const std::string& text, std::initializer_list<const char*> parts) {
  for (const char* part : parts)
    if (text.find(part) == std::string::npos)
      note(false, __FILE__, __LINE__, std::string("'") + part + "' is not in: " + text);
}

}  // namespace

TEST("cuda errors: a driver that is not there, or is none") {
  CudaToyPlan cuda;
  setenv("MOPROC_CUDA_DRIVER", "/nowhere/libcuda.so.1", 1);
  has(refusal(cuda.plan()), {"MOPROC_CUDA_DRIVER: cannot load /nowhere/libcuda.so.1: ", "No such file"});
  setenv("MOPROC_CUDA_DRIVER", "libm.so.6", 1);
  CHECK_EQ(refusal(cuda.plan()), "libm.so.6 is not a CUDA driver: it has no cuDriverGetVersion");
  unsetenv("MOPROC_CUDA_DRIVER");
  if (void* const real = dlopen("libcuda.so.1", RTLD_LAZY)) {
    dlclose(real);
    skip("this machine has a driver");
  }
  has(refusal(cuda.plan()), {"toy is compiled for NVIDIA GPUs (emulator) and needs their driver, which this machine "
                             "does not have (libcuda.so.1: ",
                             "Install a driver for CUDA 12.0 or later", "compile with --target cpu"});
}

TEST("cuda errors: a driver that is too old for the runtime") {
  const Emulated gpu("version=11080");
  CudaToyPlan cuda;
  has(refusal(cuda.plan()),
      {"is a driver for CUDA 11.8; toy needs one for CUDA 12.0 or later (release 525.60.13): update"});
}

TEST("cuda errors: a driver that is too old for the code of the nvcc that made it") {
  const std::string update = ": update the NVIDIA driver";
  const std::string older = update +
                            ", or compile with an nvcc of CUDA 12.8 or a later 12.x ($NVCC or $CUDA_HOME), whose code "
                            "runs with drivers for CUDA 12.4 or later (release 550.54.14)";
  const DriverInfo drivers[] = {
      {"14.1", 14000, ""}, {"13.0", 13000, "580.65.06"}, {"12.9", 12040, "550.54.14"}, {"12.8", 12040, "550.54.14"}};
  const auto said = [&](int version, std::initializer_list<int> listed) {
    const Emulated gpu("version=" + std::to_string(version));
    CudaToyPlan cuda;
    std::vector<DriverInfo> list;
    for (const int i : listed) list.push_back(drivers[i]);
    cuda.plan().drivers = {list.data(), static_cast<int32_t>(list.size())};
    const std::string text = refusal(cuda.plan());
    CHECK_EQ(gpu.count("cuMemAlloc_v2") > 0, text == "nothing was thrown");
    const size_t at = text.find("is a driver");
    return at == std::string::npos ? text : text.substr(at);
  };
  const std::string works = "nothing was thrown";
  const std::string thirteen = " is compiled by nvcc 13.0 and needs one for CUDA 13.0 or later (release 580.65.06)";
  CHECK_EQ(said(12090, {1, 3}), "is a driver for CUDA 12.9; toy" + thirteen + older);
  CHECK_EQ(said(12040, {1, 3}), "is a driver for CUDA 12.4; toy" + thirteen + older);
  CHECK_EQ(said(12030, {1, 3}), "is a driver for CUDA 12.3; toy" + thirteen + update);  // no nvcc would help
  CHECK_EQ(said(13000, {1, 3}), works);
  CHECK_EQ(said(12030, {2}),
           "is a driver for CUDA 12.3; toy is compiled by nvcc 12.9 and needs one for CUDA 12.4 or "
           "later (release 550.54.14)" +
               update);
  CHECK_EQ(said(12040, {2}), works);
  CHECK_EQ(said(13000, {0, 1, 3}),
           "is a driver for CUDA 13.0; toy is compiled by nvcc 14.1 and needs one for CUDA 14.0 "
           "or later" +
               update +
               ", or compile with an nvcc of CUDA 13.0 or a later 13.x ($NVCC or "
               "$CUDA_HOME), whose code runs with drivers for CUDA 13.0 or later (release 580.65.06)");
  CHECK_EQ(said(12080, {0, 1, 3}).ends_with(older), true);
}

TEST("cuda errors: no GPU, or not that one") {
  CudaToyPlan cuda;
  {
    const Emulated gpu("devices=0");
    has(refusal(cuda.plan()), {"toy is compiled for NVIDIA GPUs (emulator), and the driver (", "CUDA 13.0) shows none",
                               "CUDA_VISIBLE_DEVICES"});
  }
  const Emulated gpu("devices=2");
  has(refusal(cuda.plan(), {.gpu = 2}), {"--gpu 2: the driver shows 2 GPUs, numbered from 0"});
  Session second(cuda.plan(), {.gpu = 1});
}

TEST("cuda errors: no code for this GPU") {
  CudaToyPlan cuda;
  cuda.plan().arch = "sm_80,sm_90a";
  for (const char* config : {"compute=75,fail=cuLibraryLoadData:209", "compute=75,fail=cuLibraryGetKernel:222",
                             "compute=75,fail=cuKernelGetFunction:209:3"}) {
    const Emulated gpu(config);
    has(refusal(cuda.plan()), {"toy holds kernels for sm_80,sm_90a, none of which Emulated GPU (sm_75) with a driver "
                               "for CUDA 13.0 can run (cu",
                               ": CUDA_ERROR_", "compile with --target-arch sm_75"});
  }
  const Emulated gpu("");
  const unsigned char fatbin[64] = {0x50, 0xed, 0x55, 0xba};
  const ImageInfo image{fatbin, sizeof fatbin};
  cuda.plan().images = {&image, 1};
  has(refusal(cuda.plan()), {"cuLibraryLoadData: CUDA_ERROR_INVALID_IMAGE (device kernel image is invalid)"});
}

TEST("cuda errors: other code than that for sm_90a, whose block size it would get") {
  CudaToyPlan cuda;
  cuda.plan().arch = "sm_80,sm_90a";
  std::vector<KernelInfo> kernels(cuda.plan().kernels.begin(), cuda.plan().kernels.end());
  for (KernelInfo& k : kernels) k.hopper_threads = k.threads, k.hopper_shared_bytes = k.shared_bytes;
  cuda.plan().kernels.data = kernels.data();
  {
    const Emulated gpu("binary=80");
    has(refusal(cuda.plan()),
        {"of toy: the driver loaded code for sm_80 on Emulated GPU (sm_90)", "CUDA_FORCE_PTX_JIT"});
    CHECK_EQ(gpu.count("cuMemAlloc_v2"), 0);
  }
  {
    const Emulated gpu("binary=80,compute=80");  // there the code for sm_80 is right
    CHECK_EQ(refusal(cuda.plan()), "nothing was thrown");
  }
  const Emulated gpu("");
  CHECK_EQ(refusal(cuda.plan()), "nothing was thrown");
}

TEST("cuda errors: a kernel that no image holds, or that needs more than a block may have") {
  CudaToyPlan cuda;
  {
    const Emulated gpu("shared=50000");
    has(refusal(cuda.plan()),
        {"kernel toy_total needs 60000 bytes of shared memory per block, Emulated GPU (sm_90) has "
         "50000"});
  }
  for (const auto& [compute, most] : {std::pair("80", 166912), std::pair("86", 101376), std::pair("89", 101376),
                                      std::pair("90", 232448), std::pair("100", 232448), std::pair("120", 101376)}) {
    const Emulated gpu(std::string("compute=") + compute);
    std::vector<KernelInfo> kernels(cuda.plan().kernels.begin(), cuda.plan().kernels.end());
    Plan plan = cuda.plan();
    plan.kernels.data = kernels.data();
    for (KernelInfo& k : kernels) k.shared_bytes = most;
    CHECK_EQ(refusal(plan), "nothing was thrown");
    for (KernelInfo& k : kernels) k.shared_bytes = most + 1;
    has(refusal(plan), {" has ", std::to_string(most).c_str(), (std::string("--target-arch sm_") + compute).c_str()});
  }
  const Emulated gpu("");
  cuda.plan().images.size = 1;
  has(refusal(cuda.plan()), {"toy: no image of the artefact holds the kernel toy_step"});
}

TEST("cuda errors: arenas that do not fit, before anything is allocated") {
  const Emulated gpu("memory=4000");
  CudaToyPlan cuda;
  const int64_t gb = 1'000'000'000;
  const int64_t bytes[] = {40 * gb, 2 * gb, 30 * gb, gb};
  std::copy_n(bytes, 4, cuda.plan().arena_bytes);
  has(refusal(cuda.plan()), {"toy needs 75.00 GB of GPU memory (state 40.00 GB, gradients 2.00 GB, work 30.00 GB, "
                             "inputs and outputs 1.00 GB, upload buffers 2.00 GB); Emulated GPU (sm_90) has 0.00 GB "
                             "free of 0.00 GB",
                             "smaller batch"});
  CHECK_EQ(gpu.count("cuMemAlloc_v2"), 0);
  CHECK_EQ(gpu.count("cuMemHostAlloc"), 0);
}

TEST("cuda errors: more arguments, scalars or blocks than a launch may have") {
  const Emulated gpu("");
  CudaToyPlan cuda;
  std::vector<int32_t> args(49, 0);
  const std::vector<float> scalars(17);
  const int64_t tasks[] = {int64_t{1} << 31};
  StepInfo step = cuda.plan().programs[0].steps[1];
  ProgramInfo program = cuda.plan().programs[0];
  program.steps = {&step, 1};
  cuda.plan().programs = {&program, 1};
  step.args = {args.data(), 49};
  has(refusal(cuda.plan()), {"toy: step classifier of program warmup has 49 arguments, at most 48 fit"});
  step.args.size = 1;
  step.scalars = {scalars.data(), 17};
  has(refusal(cuda.plan()), {"17 scalars, at most 16 fit"});
  step.scalars.size = 0;
  step.tasks = {tasks, 1};
  has(refusal(cuda.plan()), {"2147483648 blocks in a phase, at most 2147483647 fit"});
}

TEST("cuda errors: a call that fails says call, error, kernel, step, program and artefact") {
  CudaToyPlan cuda;
  const auto message = [&](const char* config, auto&& body) -> std::string {
    const Emulated gpu(config);
    try {
      body();
    } catch (const cuda::CudaError& e) {
      return e.what();
    }
    return "no CudaError";
  };
  const auto make = [&] { Session s(cuda.plan()); };
  CHECK_EQ(message("fail=cuLaunchKernel:1:2", make),
           "cuLaunchKernel: CUDA_ERROR_INVALID_VALUE (invalid argument), at kernel toy_step (template "
           "toy_step) of step "
           "classifier, in program warmup, of artefact toy");
  CHECK_EQ(message("fail=cuMemcpyDtoDAsync_v2:1", make),
           "cuMemcpyDtoDAsync_v2: CUDA_ERROR_INVALID_VALUE (invalid argument), at step copy, in program mix, "
           "of artefact "
           "toy");
  CHECK_EQ(message("fail=cuMemAlloc_v2:2:2", make),
           "cuMemAlloc_v2: CUDA_ERROR_OUT_OF_MEMORY (out of memory), for the work arena, of artefact toy");
  CHECK_EQ(message("fail=cuGraphInstantiateWithFlags:2:3", make),
           "cuGraphInstantiateWithFlags: CUDA_ERROR_OUT_OF_MEMORY (out of memory), for the captured graph, "
           "in program "
           "clean, of artefact toy");
  CHECK_EQ(message("fail=cuMemHostAlloc:2", make),
           "cuMemHostAlloc: CUDA_ERROR_OUT_OF_MEMORY (out of memory), for page-locked host memory for inputs "
           "and outputs, "
           "of artefact toy");
  CHECK_EQ(message("fail=cuInit:999", make), "cuInit: error 999 (no description), of artefact toy");
  has(message("fail=cuGraphLaunch:719", [&] { Session(cuda.plan()).run(0); }),
      {"cuGraphLaunch: CUDA_ERROR_LAUNCH_FAILED (unspecified launch failure), for a run (a captured graph; "
       "--check "
       "launches one by one and names the kernel), in program refresh, of artefact toy"});
}

TEST("cuda errors: a kernel that writes where it must not is named under --check") {
  CudaToyPlan cuda;
  for (const bool check : {false, true}) {
    Emulated gpu("seed=0");
    std::string said;
    {
      Session s(cuda.plan(), {.check = check});
      try {
        s.run(s.program("wild"));
      } catch (const cuda::CudaError& e) {
        said = e.what();
      }
    }
    has(said, {"CUDA_ERROR_ILLEGAL_ADDRESS (an illegal memory access was encountered)",
               check ? "cuStreamSynchronize: " : "for a run (a captured graph; --check",
               check ? "at kernel toy_wild (template toy_wild) of step far, in program wild" : "of artefact toy"});
    has(gpu.problems(), {"toy_wild, block 0, thread 0: writes at 0 bytes past the end of allocation "});
  }
}
