// dlopen with messages a person can act on.
#include "library.h"

#include <dlfcn.h>
#include <sys/stat.h>

#include "core/error.h"

namespace moproc {

Library::Library(const std::string& dir) {
  const std::string file = dir + "/program.so";
  struct stat st;
  if (stat(file.c_str(), &st) != 0) throw InputError(file + ": no such file; is " + dir + " an artefact directory?");
  // An absolute path or one with a slash is never searched for, so what is opened is this file.
  handle_ = dlopen(file[0] == '/' ? file.c_str() : ("./" + file).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle_) throw InputError(std::string("cannot load ") + file + ": " + dlerror());
  const auto get = reinterpret_cast<const Plan* (*)()>(dlsym(handle_, "moproc_plan"));
  if (!get) {
    dlclose(handle_);
    throw InputError(file + ": is no program of moproc");
  }
  plan_ = get();
  if (plan_->version != 1) {
    dlclose(handle_);
    throw InputError(file + ": has plan version " + std::to_string(plan_->version) + ", this addon reads version 1");
  }
}

Library::~Library() { dlclose(handle_); }

}  // namespace moproc
