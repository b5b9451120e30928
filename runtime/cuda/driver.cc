// Opens the driver's library and turns its errors into messages that say what to do.
#include "cuda/driver.h"

#include <dlfcn.h>

#include <cstdlib>

#include "core/error.h"

namespace moproc::cuda {

std::string show_version(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

namespace {

/// The first driver with libraries of kernels that need no context (cuLibraryLoadData), for plans without nvcc's code.
constexpr DriverInfo kOldest = {nullptr, 12000, "525.60.13"};
constexpr const char* kPathVariable = "MOPROC_CUDA_DRIVER";

const DriverInfo& needed_by(const Plan& plan) { return plan.drivers.size > 0 ? plan.drivers[0] : kOldest; }

/// "CUDA 13.0 or later (release 580.65.06)".
std::string show(const DriverInfo& d) {
  return "CUDA " + show_version(d.cuda) + " or later" +
         (*d.release ? std::string(" (release ") + d.release + ")" : std::string());
}

}  // namespace

Driver::Driver(const Plan& plan) : plan_(plan) {
  open();
  try {
    start();
  } catch (...) {
    dlclose(library_);
    throw;
  }
}

Driver::~Driver() { dlclose(library_); }

void Driver::open() {
  const char* const given = std::getenv(kPathVariable);
  path_ = given && *given ? given : "libcuda.so.1";
  library_ = dlopen(path_.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library_) return;
  const char* const why = dlerror();
  const std::string reason = why ? why : "unknown error";
  if (given && *given) throw InputError(std::string(kPathVariable) + ": cannot load " + path_ + ": " + reason);
  throw InputError(std::string(plan_.name) + " is compiled for NVIDIA GPUs (" + plan_.arch +
                   ") and needs their driver, which this machine does not have (" + reason +
                   "). Install a driver for " + show(needed_by(plan_)) +
                   " on a machine with such a GPU; in a container, pass the GPU through; or compile with --target cpu");
}

/// Other --target-arch would not help: all code of one nvcc needs the same driver. An older nvcc helps if its code runs
/// with this driver.
std::string Driver::too_old(const DriverInfo& needed) const {
  std::string text = path_ + " is a driver for CUDA " + show_version(version_) + "; " + plan_.name +
                     (needed.nvcc ? std::string(" is compiled by nvcc ") + needed.nvcc + " and" : std::string()) +
                     " needs one for " + show(needed) + ": update the NVIDIA driver";
  for (const DriverInfo& older : plan_.drivers)
    if (version_ >= older.cuda)
      return text + ", or compile with an nvcc of CUDA " + older.nvcc + " or a later " +
             std::to_string(older.cuda / 1000) + ".x ($NVCC or $CUDA_HOME), whose code runs with drivers for " +
             show(older);
  return text;
}

void Driver::start() {
#define MOPROC_CUDA_BIND(name, symbol, parameters) name.bind(*this, library_, #symbol);
  MOPROC_CUDA_FUNCTIONS(MOPROC_CUDA_BIND)
#undef MOPROC_CUDA_BIND
  if (!driver_version.bound()) throw InputError(path_ + " is not a CUDA driver: it has no cuDriverGetVersion");
  driver_version(&version_);
  if (const DriverInfo& needed = needed_by(plan_); version_ < needed.cuda) throw InputError(too_old(needed));
#define MOPROC_CUDA_REQUIRE(name, symbol, parameters) \
  if (!name.bound())                                  \
    throw InputError(path_ + " lacks " #symbol ", though it is a driver for CUDA " + show_version(version_));
  MOPROC_CUDA_FUNCTIONS(MOPROC_CUDA_REQUIRE)
#undef MOPROC_CUDA_REQUIRE
  const Result began = init.unchecked(0);
  if (began == kSuccess) device_count(&devices_);
  else if (began != kNoDevice) fail("cuInit", began);
  if (devices_ == 0)
    throw InputError(std::string(plan_.name) + " is compiled for NVIDIA GPUs (" + plan_.arch + "), and the driver (" +
                     path_ + ", CUDA " + show_version(version_) +
                     ") shows none: check nvidia-smi and CUDA_VISIBLE_DEVICES, or compile with --target cpu");
}

std::string Driver::describe(Result result) const {
  const char *symbol = nullptr, *text = nullptr;
  error_name.unchecked(result, &symbol);
  error_text.unchecked(result, &text);
  return std::string(symbol ? symbol : "error " + std::to_string(result)) + " (" + (text ? text : "no description") +
         ")";
}

void Driver::fail(const char* call, Result result) const {
  std::string text = std::string(call) + ": " + describe(result);
  if (place_.doing) text += std::string(", for ") + place_.doing;
  if (place_.program >= 0) {
    const ProgramInfo& p = plan_.programs[place_.program];
    if (place_.step >= 0) {
      const StepInfo& s = p.steps[place_.step];
      if (s.kind == StepKind::launch)
        text += std::string(", at kernel ") + plan_.kernels[s.kernel].symbol + " (template " +
                plan_.kernels[s.kernel].tmpl + ") of";
      else text += ", at";
      text += std::string(" step ") + s.name;
    }
    text += std::string(", in program ") + p.name;
  }
  throw CudaError(result, text + ", of artefact " + plan_.name);
}

}  // namespace moproc::cuda
