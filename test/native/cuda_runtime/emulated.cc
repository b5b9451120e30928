// The emulated driver for tests: configuration through the environment, counters through functions of its own.
#include "emulated.h"

#include <dlfcn.h>

#include <cstdlib>
#include <stdexcept>

#include "tap.h"

namespace moproc::test {
namespace {

template <class F>
F emulator_function(const char* name) {
  static void* const library = dlopen(CUDA_EMULATOR, RTLD_NOW | RTLD_LOCAL);
  void* const f = library ? dlsym(library, name) : nullptr;
  if (!f) throw std::runtime_error(std::string(name) + ": " + dlerror());
  return reinterpret_cast<F>(f);
}

}  // namespace

Emulated::Emulated(const std::string& config) {
  setenv("MOPROC_CUDA_DRIVER", CUDA_EMULATOR, 1);
  setenv("MOPROC_EMULATOR", config.c_str(), 1);
  problems();
}

Emulated::~Emulated() {
  CHECK_EQ(problems(), "");
  unsetenv("MOPROC_CUDA_DRIVER");
  unsetenv("MOPROC_EMULATOR");
}

std::string Emulated::problems() {
  const std::string text = emulator_function<const char* (*)()>("moproc_emulator_problems")();
  emulator_function<void (*)()>("moproc_emulator_clear")();
  return text;
}

int64_t Emulated::count(const char* what) const {
  return emulator_function<long long (*)(const char*)>("moproc_emulator_count")(what);
}

}  // namespace moproc::test
