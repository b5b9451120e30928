#include "program.h"

#include <dlfcn.h>

#include <filesystem>

#include "core/error.h"

namespace moproc::tools {

ProgramLibrary::ProgramLibrary(const std::string& dir) {
  const std::string file = std::filesystem::absolute(dir + "/program.so").string();
  handle_ = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle_) throw InputError(std::string("cannot load ") + file + ": " + dlerror());
  const auto get = reinterpret_cast<const Plan* (*)()>(dlsym(handle_, "moproc_plan"));
  if (!get) {
    dlclose(handle_);
    throw InputError(file + ": is no program of moproc");
  }
  plan_ = get();
}

ProgramLibrary::~ProgramLibrary() { dlclose(handle_); }

int find_program(const Plan& plan, const std::string& name) {
  std::string known;
  for (int32_t i = 0; i < plan.programs.size; ++i) {
    if (name == plan.programs[i].name) return i;
    known += std::string(" ") + plan.programs[i].name;
  }
  throw InputError(std::string(plan.name) + " has no program " + name + "; it has" + known);
}

}  // namespace moproc::tools
