// An artefact's program.so in this process.
#pragma once

#include <string>

#include "core/plan.h"

namespace moproc {

/// Opens dir/program.so and closes it when destroyed; the plan and its kernels live as long.
class Library {
 public:
  /// Throws InputError when the file is missing, no program of moproc, or of another plan version.
  explicit Library(const std::string& dir);
  ~Library();
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  const Plan& plan() const { return *plan_; }

 private:
  void* handle_;
  const Plan* plan_;
};

}  // namespace moproc
