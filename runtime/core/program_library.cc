#include "core/program_library.h"

#include <dlfcn.h>

#include <filesystem>

#include "core/error.h"

namespace moproc {
namespace {

/// The plan of a loaded library. Throws InputError if it has none, or one of another version.
const Plan* plan_of(void* handle, const std::string& file) {
  const auto get = reinterpret_cast<const Plan* (*)()>(dlsym(handle, "moproc_plan"));
  if (!get) throw InputError(file + ": is not a program of moproc");
  const Plan* const plan = get();
  if (plan->version != kPlanVersion)
    throw InputError(file + ": has plan version " + std::to_string(plan->version) + ", this program reads version " +
                     std::to_string(kPlanVersion) + "; compile the artefact again");
  return plan;
}

}  // namespace

ProgramLibrary::ProgramLibrary(const std::string& path) {
  std::error_code none;
  const bool is_directory = std::filesystem::is_directory(path, none);
  const std::string file = is_directory ? (std::filesystem::path(path) / "program.so").string() : path;
  if (!std::filesystem::exists(file, none)) {
    const std::string folder = std::filesystem::path(file).parent_path().string();
    throw InputError(file + ": no such file; is " +
                     (is_directory     ? path
                      : folder.empty() ? "."
                                       : folder) +
                     " an artefact directory?");
  }
  // dlopen searches for a name without a slash; an absolute path is opened as it is.
  handle_ = dlopen(std::filesystem::absolute(file).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle_) throw InputError("cannot load " + file + ": " + dlerror());
  try {
    plan_ = plan_of(handle_, file);
  } catch (...) {
    dlclose(handle_);
    throw;
  }
}

ProgramLibrary::~ProgramLibrary() { dlclose(handle_); }

}  // namespace moproc
