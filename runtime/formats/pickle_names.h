// The names whose calls become values, and the meaning of each. The Python objects of these names are never called.
// Calls of other names become opaque objects, which only have a class name (pickle_opaque.cc); harmful names are
// refused (pickle_harm.h).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/plan.h"

namespace moproc::formats {

enum class Callable : uint8_t {
  ordered_dict,       // collections.OrderedDict
  default_dict,       // collections.defaultdict, which becomes a dict
  set,                // set(), which becomes the list of its members
  rebuild_tensor,     // torch._utils._rebuild_tensor_v2, and _rebuild_tensor with fewer arguments
  rebuild_parameter,  // torch._utils._rebuild_parameter, and _rebuild_parameter_with_state
  rebuild_subclass,   // torch._tensor._rebuild_from_type_v2: a tensor with attributes
  rebuild_on_device,  // torch._utils._rebuild_device_tensor_from_numpy and its like
  size,               // torch.Size
  storage_type,       // torch.FloatStorage and its like
  array_reconstruct,  // numpy.core.multiarray._reconstruct
  array_from_buffer,  // numpy.core.numeric._frombuffer
  scalar,             // numpy.core.multiarray.scalar
  ndarray,            // numpy.ndarray
  dtype,              // numpy.dtype
  encode,             // _codecs.encode
  empty_bytes,        // bytes(): protocol 2 writes b'' this way
  attribute,          // getattr(class, name): a nested class, or a member of an enum
  construct,          // copyreg._reconstructor and its like: an object of a class
};

struct AllowedName {
  const char* module;
  const char* name;
  Callable callable;
  DType dtype = DType::f32;  // of a storage type
  int foreign_size = 0;      // of a storage type whose elements are of no DType: bytes per element
};

/// The entry of a name; null for every other name.
const AllowedName* find_allowed_name(std::string_view module, std::string_view name);

/// The name of a storage of this type in files that we write: "torch", "FloatStorage" for f32.
const AllowedName& storage_name(DType dtype);

/// The type of numpy's code without byte order ("f4" -> f32), and back. Nothing for types that only one side has.
std::optional<DType> numpy_type(std::string_view code);
const char* numpy_code(DType dtype);  // null for bf16

}  // namespace moproc::formats
