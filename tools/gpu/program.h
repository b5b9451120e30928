// The plan in a program.so.
#pragma once

#include <string>

#include "core/plan.h"

namespace moproc::tools {

class ProgramLibrary {
 public:
  /// Throws InputError when the file is no program.so of moproc; of a directory, the one in it is meant.
  explicit ProgramLibrary(const std::string& path);
  ~ProgramLibrary();
  ProgramLibrary(const ProgramLibrary&) = delete;
  ProgramLibrary& operator=(const ProgramLibrary&) = delete;

  const Plan& plan() const { return *plan_; }

 private:
  void* handle_;
  const Plan* plan_;
};

/// Index of a program; InputError listing what there is.
int find_program(const Plan& plan, const std::string& name);

/// A digest of what a program launches on what, the same for every architecture that it is compiled for: a kernel's
/// symbol is a digest of its source.
std::string signature(const Plan& plan, int program);

}  // namespace moproc::tools
