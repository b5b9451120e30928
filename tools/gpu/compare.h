// Every launch of a record again, from the same bytes, on the GPU at hand.
#pragma once

#include <string>
#include <vector>

#include "core/plan.h"
#include "record.h"

namespace moproc::tools {

/// How one result differs: by element in units of its type's last place, and in the 2-norm relative to what was
/// recorded.
struct Difference {
  double ulps = 0, norm = 0;
  bool finite = true;  // false: one of the two has a number where the other has none
};

/// Of `n` bytes of a type; integers count as different (ulps) or not.
Difference difference(DType type, std::span<const std::byte> got, std::span<const std::byte> want);

/// bf16: 2 units in the last place, or 1e-3 of the norm. f32: 1e-4 of the norm. Others: equal.
bool agrees(DType type, const Difference& d);

struct Result {
  int step;
  int tensor;
  Difference difference;
  bool ok;
};

/// Results of every launch that changed something, in order.
std::vector<Result> compare(const Plan& plan, const Record& record, int gpu);

/// A line a wrong result and a summary a template.
std::string describe(const Plan& plan, const Record& record, const std::vector<Result>& results);

}  // namespace moproc::tools
