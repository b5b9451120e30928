// The report of a kit's check: gpu-check.json and gpu-check.md, written anew after each part.
#pragma once

#include <filesystem>
#include <string>

#include "parts.h"
#include "process.h"

namespace moproc::tools {

class Report {
 public:
  /// Throws InputError if the folder has a file of these names that no such check wrote.
  explicit Report(std::filesystem::path dir);

  void skip(const Part& part, const std::string& why);
  /// A part that has ended; `result` is null if it wrote none.
  void add(const Part& part, const Ended& ended, const PartResult* result);
  /// Writes both files. `left`: the number of parts that have not run yet.
  void write(size_t left) const;
  bool ok() const { return ok_; }

 private:
  std::filesystem::path dir_;
  bool ok_ = true;
  std::string gpu_, checks_, check_rows_, benches_, bench_rows_, sections_;
};

/// "pass", "FAIL: results differ", "HANG: ended after 40 s (124)", ...
std::string outcome(const Ended& e);

}  // namespace moproc::tools
