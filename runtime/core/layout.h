// Element sizes, names of types, and the permutation between the two orders of a tensor: logical row-major order, which
// files and users see, and stored order, in which 4-D tensors are channels-last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/plan.h"

namespace moproc {

/// Bytes of one element.
int64_t dtype_size(DType t);
/// The compiler's name of the type: "f32", "bool".
const char* dtype_name(DType t);
/// Elements of the tensor.
int64_t elements(const TensorInfo& t);
/// "f32[16,64,56,56]"
std::string show_type(const TensorInfo& t);

/// The name of a program's input or output without its program: "x" of "step/x".
const char* short_name(const TensorInfo& t);

/// Copies a whole tensor of t's type from logical row-major order to stored order. The two ranges must not overlap.
void to_stored(const TensorInfo& t, const std::byte* logical, std::byte* stored);
/// The inverse of to_stored.
void to_logical(const TensorInfo& t, const std::byte* stored, std::byte* logical);

}  // namespace moproc
