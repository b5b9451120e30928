// Repeats every launch of a record from the same bytes on this machine's GPU.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/plan.h"
#include "record.h"

namespace moproc::tools {

/// How one result differs: per element in units in the last place (0 for f32), and in the 2-norm relative to the
/// recorded result.
struct Difference {
  double ulps = 0, norm = 0;
  bool finite = true;  // false: an element that is not finite in one of the two differs
};

/// The difference of two equally long arrays of a type; integers only count as different (ulps) or equal.
Difference difference(DType type, std::span<const std::byte> got, std::span<const std::byte> want);

/// Whether the difference is within tolerance: 2 units in the last place or 1e-3 of the norm for bf16, 1e-4 of the norm
/// for f32, none for other types.
bool agrees(DType type, const Difference& d);

struct Result {
  int step;
  int tensor;
  Difference difference;
  bool ok;
};

/// Results in order: of every tensor that the recorded launch changed, and of other tensors that this launch changes.
/// `begin` is called before each step.
std::vector<Result> compare(const Plan& plan, const Record& record, int gpu,
                            const std::function<void(int step)>& begin = {});

/// One line per wrong result, and a summary per template.
std::string describe(const Plan& plan, const Record& record, const std::vector<Result>& results);

}  // namespace moproc::tools
