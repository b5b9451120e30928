// --check: finding the first value that is no finite number, and saying where it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>

#include "core/plan.h"

namespace moproc {

/// A NaN or infinity; what() names tensor, element, kernel, step and program.
class NonFiniteError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Index (stored order) of the first NaN or infinity of a floating-point tensor; -1 when there is none or the
/// type has none.
int64_t first_nonfinite(const TensorInfo& t, const std::byte* stored);

}  // namespace moproc
