// A view of a tensor in a file or in memory: elements of a storage, reached through strides.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/plan.h"
#include "formats/bytes.h"

namespace moproc::formats {

/// A tensor returned by make_tensor() lies inside its storage, so its readers need no bounds checks.
struct Tensor {
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;  // elements, none negative; 0 repeats an element
  int64_t offset = 0;            // of the first element, in elements
  ByteSpan storage;              // little-endian, at any address

  int64_t elements() const;
  int64_t bytes() const;
  bool row_major() const;  // true if its elements are contiguous in logical order
};

/// True for f16, bf16, f32 and f64.
bool is_floating(DType dtype);

/// Bytes that all tensors of a file together may take: 64 MiB + 16 times the file, because views of one storage
/// multiply its size.
uint64_t tensor_room(uint64_t file_bytes);

/// Bytes of a tensor's name that are read. Names of networks take less than a tenth of that.
inline constexpr size_t kMaxTensorName = 1000;

/// "a tensor has a name of 2000 bytes, which begins with aaaa; at most 1000 are read"
std::string long_name(const std::string& name);

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

/// Strides of a tensor whose elements are contiguous in logical order (last index fastest).
std::vector<int64_t> row_major_strides(const std::vector<int64_t>& shape);
/// The same with the first index fastest, as in Fortran and in numpy's order 'F'.
std::vector<int64_t> column_major_strides(const std::vector<int64_t>& shape);

/// Product of the sizes times `scale`; nothing if a size is negative or the product does not fit 63 bits.
std::optional<int64_t> checked_product(const std::vector<int64_t>& shape, int64_t scale);

/// The reason why `shape` and `strides` at `offset` are not inside a storage of `numel` elements of `dtype`; "" if they
/// are.
std::string view_fault(DType dtype, const std::vector<int64_t>& shape, const std::vector<int64_t>& strides,
                       int64_t offset, int64_t numel);

/// A tensor of bytes in row-major order. The number of bytes must be that of the shape.
Tensor row_major_tensor(DType dtype, std::vector<int64_t> shape, ByteSpan bytes);

/// "f32[64,3,7,7]"
std::string show_type(const Tensor& t);

/// Copies the elements in row-major order to `out`, which has t.bytes() bytes.
void copy_row_major(const Tensor& t, std::span<std::byte> out);

/// The elements in row-major order: the storage itself if it has that order, otherwise a copy in `buffer`.
ByteSpan row_major_bytes(const Tensor& t, std::vector<std::byte>& buffer);

}  // namespace moproc::formats
