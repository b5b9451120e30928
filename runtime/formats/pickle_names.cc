// numpy 2 moved its internals from numpy.core to numpy._core. Files of both can be read.
#include "formats/pickle_names.h"

#include <stdexcept>

namespace moproc::formats {
namespace {

constexpr AllowedName kNames[] = {
    {"collections", "OrderedDict", Callable::ordered_dict},
    {"collections", "defaultdict", Callable::default_dict},
    {"builtins", "set", Callable::set},
    {"builtins", "frozenset", Callable::set},
    {"__builtin__", "set", Callable::set},
    {"__builtin__", "frozenset", Callable::set},
    {"torch._utils", "_rebuild_tensor_v2", Callable::rebuild_tensor},
    {"torch._utils", "_rebuild_tensor", Callable::rebuild_tensor},
    {"torch._utils", "_rebuild_parameter", Callable::rebuild_parameter},
    {"torch._utils", "_rebuild_parameter_with_state", Callable::rebuild_parameter},
    {"torch._tensor", "_rebuild_from_type_v2", Callable::rebuild_subclass},
    {"torch._tensor", "_rebuild_from_type", Callable::rebuild_subclass},
    {"torch.tensor", "_rebuild_from_type", Callable::rebuild_subclass},
    {"torch._utils", "_rebuild_device_tensor_from_numpy", Callable::rebuild_on_device},
    {"torch._utils", "_rebuild_device_tensor_from_cpu_tensor", Callable::rebuild_on_device},
    {"torch", "Size", Callable::size},
    {"torch", "FloatStorage", Callable::storage_type, DType::f32},
    {"torch", "DoubleStorage", Callable::storage_type, DType::f64},
    {"torch", "HalfStorage", Callable::storage_type, DType::f16},
    {"torch", "BFloat16Storage", Callable::storage_type, DType::bf16},
    {"torch", "LongStorage", Callable::storage_type, DType::i64},
    {"torch", "IntStorage", Callable::storage_type, DType::i32},
    {"torch", "ShortStorage", Callable::storage_type, DType::i16},
    {"torch", "CharStorage", Callable::storage_type, DType::i8},
    {"torch", "ByteStorage", Callable::storage_type, DType::u8},
    {"torch", "BoolStorage", Callable::storage_type, DType::boolean},
    {"torch", "ComplexFloatStorage", Callable::storage_type, DType::f32, 8},
    {"torch", "ComplexDoubleStorage", Callable::storage_type, DType::f32, 16},
    {"torch", "QInt8Storage", Callable::storage_type, DType::f32, 1},
    {"torch", "QUInt8Storage", Callable::storage_type, DType::f32, 1},
    {"torch", "QUInt4x2Storage", Callable::storage_type, DType::f32, 1},
    {"torch", "QUInt2x4Storage", Callable::storage_type, DType::f32, 1},
    {"torch", "QInt32Storage", Callable::storage_type, DType::f32, 4},
    {"torch", "UntypedStorage", Callable::storage_type, DType::f32, 1},
    {"numpy.core.multiarray", "_reconstruct", Callable::array_reconstruct},
    {"numpy._core.multiarray", "_reconstruct", Callable::array_reconstruct},
    {"numpy.core.numeric", "_frombuffer", Callable::array_from_buffer},
    {"numpy._core.numeric", "_frombuffer", Callable::array_from_buffer},
    {"numpy.core.multiarray", "scalar", Callable::scalar},
    {"numpy._core.multiarray", "scalar", Callable::scalar},
    {"numpy", "ndarray", Callable::ndarray},
    {"numpy", "dtype", Callable::dtype},
    {"_codecs", "encode", Callable::encode},
    {"__builtin__", "bytes", Callable::empty_bytes},
    {"builtins", "getattr", Callable::attribute},
    {"__builtin__", "getattr", Callable::attribute},
    {"copyreg", "_reconstructor", Callable::construct},
    {"copyreg", "__newobj__", Callable::construct},
    {"copy_reg", "_reconstructor", Callable::construct},
    {"copy_reg", "__newobj__", Callable::construct},
};

struct NumpyType {
  const char* code;
  DType dtype;
};
constexpr NumpyType kNumpyTypes[] = {
    {"f4", DType::f32}, {"f8", DType::f64}, {"f2", DType::f16}, {"i8", DType::i64},     {"i4", DType::i32},
    {"i2", DType::i16}, {"i1", DType::i8},  {"u1", DType::u8},  {"b1", DType::boolean},
};

}  // namespace

const AllowedName* find_allowed_name(std::string_view module, std::string_view name) {
  // Other modules in which PyTorch has had its storages: those of tensors on a GPU before 0.4, and the untyped one.
  if (name.ends_with("Storage") && (module == "torch.cuda" || module == "torch.storage")) module = "torch";
  for (const AllowedName& n : kNames)
    if (module == n.module && name == n.name) return &n;
  return nullptr;
}

const AllowedName& storage_name(DType dtype) {
  for (const AllowedName& n : kNames)
    if (n.callable == Callable::storage_type && n.dtype == dtype && n.foreign_size == 0) return n;
  throw std::logic_error("a type without a torch storage");
}

std::optional<DType> numpy_type(std::string_view code) {
  for (const NumpyType& t : kNumpyTypes)
    if (code == t.code) return t.dtype;
  return std::nullopt;
}

const char* numpy_code(DType dtype) {
  for (const NumpyType& t : kNumpyTypes)
    if (t.dtype == dtype) return t.code;
  return nullptr;
}

}  // namespace moproc::formats
