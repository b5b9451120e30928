// The --check flag: finds the first NaN or infinity of a run and says where it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>

#include "core/plan.h"

namespace moproc {

/// A NaN or infinity; what() names tensor, element, kernel, step and program.
class NonFiniteError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Index, in stored order, of the first NaN or infinity of a tensor; -1 if there is none or the type is not floating
/// point.
int64_t first_nonfinite(const TensorInfo& t, const std::byte* stored);

/// Returns the bytes of a tensor in stored order. They are valid until the next call.
using TensorBytes = std::function<const std::byte*(int tensor)>;

/// Throws NonFiniteError if an input of the program, or a state that is not derived, has a NaN or infinity.
void check_inputs(const Plan& plan, int program, const TensorBytes& bytes);
/// Throws NonFiniteError if an argument of the step has a NaN or infinity. All arguments are checked because the plan
/// does not say which of them the kernel writes; those that it only reads passed when they were written.
void check_step(const Plan& plan, int program, int step, const TensorBytes& bytes);

}  // namespace moproc
