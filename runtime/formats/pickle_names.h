// The only names that a pickle may mention, and the meaning of each. The Python objects of these names are never
// called.
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
  empty_bytes,        // bytes(): protocol 2 writes b'' this way
};

struct AllowedName {
  const char* module;
  const char* name;
  Callable callable;
  DType dtype = DType::f32;  // of a storage type
};

/// The entry of a name; null for every other name.
const AllowedName* find_allowed_name(std::string_view module, std::string_view name);

/// The name of a storage of this type in files that we write: "torch", "FloatStorage" for f32.
const AllowedName& storage_name(DType dtype);

/// The type of numpy's code without byte order ("f4" -> f32), and back. Nothing for types that only one side has.
std::optional<DType> numpy_type(std::string_view code);
const char* numpy_code(DType dtype);  // null for bf16

}  // namespace moproc::formats
