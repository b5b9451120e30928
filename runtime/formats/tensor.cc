// Computes the bounds of strided views, and copies views to row-major order.
#include "formats/tensor.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "core/layout.h"

namespace moproc::formats {
namespace {

/// Copies a block of `rank` dimensions element by element; the innermost loop is the last dimension.
template <class T>
std::byte* gather(const int64_t* shape, const int64_t* strides, size_t rank, const std::byte* from, std::byte* to) {
  if (rank == 0) {
    std::memcpy(to, from, sizeof(T));
    return to + sizeof(T);
  }
  const int64_t n = shape[0];
  const int64_t step = n > 1 ? strides[0] * static_cast<int64_t>(sizeof(T)) : 0;  // size 1: any stride is allowed
  if (rank > 1) {
    for (int64_t i = 0; i < n; ++i) to = gather<T>(shape + 1, strides + 1, rank - 1, from + i * step, to);
    return to;
  }
  if (strides[0] == 1) {
    std::memcpy(to, from, static_cast<size_t>(n) * sizeof(T));
    return to + static_cast<size_t>(n) * sizeof(T);
  }
  for (int64_t i = 0; i < n; ++i, to += sizeof(T)) std::memcpy(to, from + i * step, sizeof(T));
  return to;
}

std::string show_list(const std::vector<int64_t>& values) {
  std::string text = "[";
  for (size_t i = 0; i < values.size(); ++i) text += (i ? "," : "") + std::to_string(values[i]);
  return text + "]";
}

}  // namespace

bool is_floating(DType t) { return t == DType::f32 || t == DType::f16 || t == DType::bf16 || t == DType::f64; }

std::string long_name(const std::string& name) {
  return "a tensor has a name of " + std::to_string(name.size()) + " bytes, which begins with " +
         shown(name.substr(0, 40)) + "; at most " + std::to_string(kMaxTensorName) + " are read";
}

uint64_t tensor_room(uint64_t file_bytes) { return (uint64_t{64} << 20) + 16 * file_bytes; }

int64_t Tensor::elements() const {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

int64_t Tensor::bytes() const { return elements() * dtype_size(dtype); }

bool Tensor::row_major() const {
  int64_t expected = 1;
  for (size_t d = shape.size(); d-- > 0; expected *= shape[d])
    if (shape[d] != 1 && strides[d] != expected) return elements() == 0;
  return true;
}

std::vector<int64_t> row_major_strides(const std::vector<int64_t>& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t d = shape.size(); d-- > 1;) strides[d - 1] = strides[d] * std::max<int64_t>(shape[d], 1);
  return strides;
}

std::vector<int64_t> column_major_strides(const std::vector<int64_t>& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t d = 1; d < shape.size(); ++d) strides[d] = strides[d - 1] * std::max<int64_t>(shape[d - 1], 1);
  return strides;
}

std::optional<int64_t> checked_product(const std::vector<int64_t>& shape, int64_t scale) {
  // The other sizes must fit even if one is 0: the strides of [0, 2^40, 2^40] do not fit.
  int64_t product = scale;
  bool empty = false;
  for (const int64_t size : shape) {
    if (size < 0) return std::nullopt;
    if (size == 0) empty = true;
    else if (__builtin_mul_overflow(product, size, &product)) return std::nullopt;
  }
  return empty ? 0 : product;
}

std::string view_fault(DType dtype, const std::vector<int64_t>& shape, const std::vector<int64_t>& strides,
                       int64_t offset, int64_t numel) {
  if (shape.size() != strides.size())
    return "its shape " + show_list(shape) + " and its strides " + show_list(strides) + " differ in number";
  const std::optional<int64_t> bytes = checked_product(shape, dtype_size(dtype));
  if (!bytes) return "its shape " + show_list(shape) + " is negative or too large";
  if (std::any_of(strides.begin(), strides.end(), [](int64_t s) { return s < 0; }))
    return "its strides " + show_list(strides) + " are negative";
  if (offset < 0 || offset > numel)
    return "its offset " + std::to_string(offset) + " is outside its storage of " + std::to_string(numel) + " elements";
  if (*bytes == 0) return "";
  int64_t last = offset;
  for (size_t d = 0; d < shape.size(); ++d) {
    int64_t reach = 0;
    if (__builtin_mul_overflow(shape[d] - 1, strides[d], &reach) || __builtin_add_overflow(last, reach, &last))
      return "its strides " + show_list(strides) + " are too large";
  }
  if (last < numel) return "";
  return "shape " + show_list(shape) + ", strides " + show_list(strides) + " and offset " + std::to_string(offset) +
         " reach element " + std::to_string(last) + " of a storage of " + std::to_string(numel);
}

Tensor row_major_tensor(DType dtype, std::vector<int64_t> shape, ByteSpan bytes) {
  std::vector<int64_t> strides = row_major_strides(shape);
  return {dtype, std::move(shape), std::move(strides), 0, bytes};
}

std::string show_type(const Tensor& t) { return dtype_name(t.dtype) + show_list(t.shape); }

void copy_row_major(const Tensor& t, std::span<std::byte> out) {
  if (out.empty()) return;
  const size_t size = static_cast<size_t>(dtype_size(t.dtype));
  const std::byte* const from = t.storage.data() + static_cast<size_t>(t.offset) * size;
  const size_t rank = t.shape.size();
  if (t.row_major()) std::memcpy(out.data(), from, out.size());
  else if (size == 1) gather<uint8_t>(t.shape.data(), t.strides.data(), rank, from, out.data());
  else if (size == 2) gather<uint16_t>(t.shape.data(), t.strides.data(), rank, from, out.data());
  else if (size == 4) gather<uint32_t>(t.shape.data(), t.strides.data(), rank, from, out.data());
  else gather<uint64_t>(t.shape.data(), t.strides.data(), rank, from, out.data());
}

ByteSpan row_major_bytes(const Tensor& t, std::vector<std::byte>& buffer) {
  const size_t bytes = static_cast<size_t>(t.bytes());
  if (t.row_major()) {
    const size_t start = bytes == 0 ? 0 : static_cast<size_t>(t.offset * dtype_size(t.dtype));
    return t.storage.subspan(start, bytes);
  }
  buffer.resize(bytes);
  copy_row_major(t, buffer);
  return buffer;
}

}  // namespace moproc::formats
