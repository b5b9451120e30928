// The plan in an artefact directory's program.so.
#pragma once

#include <string>

#include "core/plan.h"

namespace moproc::tools {

class ProgramLibrary {
 public:
  /// Throws InputError when `dir` holds no program.so of moproc.
  explicit ProgramLibrary(const std::string& dir);
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

}  // namespace moproc::tools
