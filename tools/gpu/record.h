// A record: every launch of a program with what its tensors held before and after, as raw bytes in stored order. A
// safetensors file: "STEP TENSOR before" and, where the launch changed it, "STEP TENSOR after"; STEP and TENSOR are indices
// of the plan. Metadata: program, plan (digest), driver (what ran it).
#pragma once

#include <cstddef>
#include <map>
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
  /// Throws InputError when the file is no record of this plan.
  Record(const Plan& plan, const std::string& path);

  int program() const { return program_; }
  const std::string& recorded_on() const { return driver_; }
  /// Empty where there is none: after, of a tensor that the launch did not change.
  std::span<const std::byte> before(int step, int tensor) const { return find(step, tensor, "before"); }
  std::span<const std::byte> after(int step, int tensor) const { return find(step, tensor, "after"); }

 private:
  std::span<const std::byte> find(int step, int tensor, const char* when) const;

  formats::SafetensorsFile file_;
  int program_ = -1;
  std::string driver_;
};

}  // namespace moproc::tools
