// --check: finding the first value that is no finite number, and saying where it is.
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

/// Index (stored order) of the first NaN or infinity of a floating-point tensor; -1 when there is none or the
/// type has none.
int64_t first_nonfinite(const TensorInfo& t, const std::byte* stored);

/// Gives the bytes of a tensor in stored order, valid until the next call.
using TensorBytes = std::function<const std::byte*(int tensor)>;

/// Throws NonFiniteError when an input of the program or a state that is not derived is not finite.
void check_inputs(const Plan& plan, int program, const TensorBytes& bytes);
/// Throws NonFiniteError when an argument of the step is not finite. The plan does not say which arguments a
/// kernel writes; those it reads were found finite when they were written.
void check_step(const Plan& plan, int program, int step, const TensorBytes& bytes);

}  // namespace moproc
