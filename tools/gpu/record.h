// A record: every launch of a program with the contents of its tensors before and after, as raw bytes in stored order.
// A safetensors file: "STEP TENSOR before" if that differs from the last contents that an earlier step recorded for the
// tensor, and "STEP TENSOR after" if the launch changed it; STEP and TENSOR are indices of the plan. Metadata: program,
// plan (signature), driver (what ran it).
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "core/plan.h"
#include "formats/safetensors.h"

namespace moproc::tools {

/// Runs refresh and then `program` step by step from `values` (states and inputs in logical order, under their names in
/// the plan; every one must be there) and writes the record.
void record(const Plan& plan, const std::string& program, const std::string& values, const std::string& path, int gpu);

/// A record read back.
class Record {
 public:
  /// Throws InputError if the file is not a record of this plan.
  Record(const Plan& plan, const std::string& path);

  int program() const { return program_; }
  const std::string& recorded_on() const { return driver_; }
  std::span<const std::byte> before(int step, int tensor) const;
  /// Empty if the launch did not change the tensor.
  std::span<const std::byte> after(int step, int tensor) const;

 private:
  formats::SafetensorsFile file_;
  int program_ = -1;
  std::string driver_;
};

}  // namespace moproc::tools
