// A compiled program (program.so of an artefact) loaded into this process.
#pragma once

#include <string>

#include "core/plan.h"

namespace moproc {

/// Keeps a program.so loaded; its plan and its kernels are valid until this is destroyed.
class ProgramLibrary {
 public:
  /// `path`: an artefact directory, or a program.so itself. Throws InputError if the file is missing, cannot be loaded,
  /// is not a program of moproc, or has another plan version than kPlanVersion.
  explicit ProgramLibrary(const std::string& path);
  ~ProgramLibrary();
  ProgramLibrary(const ProgramLibrary&) = delete;
  ProgramLibrary& operator=(const ProgramLibrary&) = delete;

  const Plan& plan() const { return *plan_; }

 private:
  void* handle_ = nullptr;
  const Plan* plan_ = nullptr;
};

}  // namespace moproc
