// One table maps element types to typed arrays.
#include "tensors.h"

#include <memory>
#include <string>

#include "core/arena.h"
#include "core/layout.h"

namespace moproc {
namespace {

struct Kind {
  const char* dtype;
  const char* array;
  napi_typedarray_type type;
  size_t size;
};

Kind kind_of(DType d) {
  switch (d) {
    case DType::f32: return {"f32", "Float32Array", napi_float32_array, 4};
    case DType::bf16: return {"bf16", "Uint16Array", napi_uint16_array, 2};
    case DType::f16: return {"f16", "Uint16Array", napi_uint16_array, 2};
    case DType::f64: return {"f64", "Float64Array", napi_float64_array, 8};
    case DType::i64: return {"i64", "BigInt64Array", napi_bigint64_array, 8};
    case DType::i32: return {"i32", "Int32Array", napi_int32_array, 4};
    case DType::u8: return {"u8", "Uint8Array", napi_uint8_array, 1};
    case DType::boolean: return {"bool", "Uint8Array", napi_uint8_array, 1};
    case DType::i16: return {"i16", "Int16Array", napi_int16_array, 2};
    case DType::i8: return {"i8", "Int8Array", napi_int8_array, 1};
    case DType::u64: return {"u64", "BigUint64Array", napi_biguint64_array, 8};
    case DType::u32: return {"u32", "Uint32Array", napi_uint32_array, 4};
    case DType::u16: return {"u16", "Uint16Array", napi_uint16_array, 2};
  }
  return {"?", "?", napi_uint8_array, 1};
}

constexpr size_t kLarge = size_t{2} << 20;

/// A buffer of memory of its own. The system provides it in huge pages if it can, so that writing it for the first time
/// takes a fraction of the time.
Napi::ArrayBuffer in_huge_pages(Napi::Env env, size_t bytes) {
  auto memory = std::make_unique<ArenaMemory>(static_cast<int64_t>(bytes));
  void* const data = memory->data();
  const auto release = [](Napi::Env, void*, ArenaMemory* m) { delete m; };
  Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(env, data, bytes, release, memory.get());
  memory.release();  // the buffer has it now
  return buffer;
}

}  // namespace

Napi::Object describe_tensor(Napi::Env env, const TensorInfo& t) {
  Napi::Array shape = Napi::Array::New(env, t.rank);
  for (int i = 0; i < t.rank; ++i) shape.Set(i, Napi::Number::New(env, static_cast<double>(t.shape[i])));
  Napi::Object o = Napi::Object::New(env);
  o.Set("name", short_name(t));
  o.Set("dtype", kind_of(t.dtype).dtype);
  o.Set("shape", shape);
  return o;
}

std::span<const std::byte> bytes_of(const Napi::Value& value, const TensorInfo& t) {
  const Kind k = kind_of(t.dtype);
  const size_t count = static_cast<size_t>(t.bytes) / k.size;
  const std::string want = std::string(short_name(t)) + ": expected a " + k.array + " of " + std::to_string(count);
  if (!value.IsTypedArray()) throw Napi::TypeError::New(value.Env(), want + " values");
  const Napi::TypedArray a = value.As<Napi::TypedArray>();
  if (a.TypedArrayType() != k.type) throw Napi::TypeError::New(value.Env(), want + " values, not another typed array");
  if (a.ElementLength() != count)
    throw Napi::TypeError::New(value.Env(), want + " values, not " + std::to_string(a.ElementLength()));
  const auto* data = static_cast<const std::byte*>(a.ArrayBuffer().Data()) + a.ByteOffset();
  return {data, static_cast<size_t>(t.bytes)};
}

Napi::Value typed_array(Napi::Env env, const TensorInfo& t, const std::function<void(std::span<std::byte>)>& fill) {
  const Kind k = kind_of(t.dtype);
  const size_t bytes = static_cast<size_t>(t.bytes);
  Napi::ArrayBuffer buffer = bytes < kLarge ? Napi::ArrayBuffer::New(env, bytes) : in_huge_pages(env, bytes);
  fill({static_cast<std::byte*>(buffer.Data()), bytes});
  napi_value array;
  if (napi_create_typedarray(env, k.type, bytes / k.size, buffer, 0, &array) != napi_ok)
    throw Napi::Error::New(env, std::string("internal: no typed array for ") + t.name);
  return Napi::Value(env, array);
}

}  // namespace moproc
