// The only names a pickle may mention, and what each means here. Nothing behind any of them is ever executed.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/plan.h"

namespace moproc::formats {

enum class Callable : uint8_t {
  ordered_dict,       // collections.OrderedDict
  rebuild_tensor,     // torch._utils._rebuild_tensor_v2
  rebuild_parameter,  // torch._utils._rebuild_parameter
  size,               // torch.Size
  storage_type,       // torch.FloatStorage and its like
  array_reconstruct,  // numpy.core.multiarray._reconstruct
  array_from_buffer,  // numpy.core.numeric._frombuffer
  ndarray,            // numpy.ndarray
  dtype,              // numpy.dtype
  encode,             // _codecs.encode
  empty_bytes,        // bytes(), how protocol 2 writes b''
};

struct AllowedName {
  const char* module;
  const char* name;
  Callable callable;
  DType dtype = DType::f32;  // of a storage type
};

/// Null for every other name.
const AllowedName* find_allowed_name(std::string_view module, std::string_view name);

/// "torch", "FloatStorage" for f32: how the writer names a storage.
const AllowedName& storage_name(DType dtype);

/// "f4" <-> f32, without byte order. Nothing for types that are not both numpy's and ours.
std::optional<DType> numpy_type(std::string_view code);
const char* numpy_code(DType dtype);  // null for bf16

}  // namespace moproc::formats
