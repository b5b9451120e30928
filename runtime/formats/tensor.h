// A tensor where it lies in a file or in memory: elements of a storage reached through strides.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/plan.h"
#include "formats/bytes.h"

namespace moproc::formats {

/// What make_tensor() returns is inside its storage: nothing that reads it needs to check again.
struct Tensor {
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;  // elements, none negative; 0 repeats an element
  int64_t offset = 0;            // of the first element, in elements
  ByteSpan storage;              // little-endian, at any address

  int64_t elements() const;
  int64_t bytes() const;
  bool row_major() const;  // its elements lie side by side in logical order
};

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

/// Strides of a tensor whose elements lie side by side in logical (last index fastest) order.
std::vector<int64_t> row_major_strides(const std::vector<int64_t>& shape);
/// The same with the first index fastest, as Fortran and numpy's order 'F' have it.
std::vector<int64_t> column_major_strides(const std::vector<int64_t>& shape);

/// Product of the sizes times `scale`; nothing when a size is negative or the product does not fit 63 bits.
std::optional<int64_t> checked_product(const std::vector<int64_t>& shape, int64_t scale);

/// Why `shape` and `strides` at `offset` do not lie inside a storage of `numel` elements of `dtype`; "" when
/// they do.
std::string view_fault(DType dtype, const std::vector<int64_t>& shape, const std::vector<int64_t>& strides,
                       int64_t offset, int64_t numel);

/// A tensor of bytes in row-major order; their number must be the shape's.
Tensor row_major_tensor(DType dtype, std::vector<int64_t> shape, ByteSpan bytes);

/// "f32[64,3,7,7]"
std::string show_type(const Tensor& t);

/// Copies the elements in row-major order to `out`, which has t.bytes() bytes.
void copy_row_major(const Tensor& t, std::span<std::byte> out);

/// The elements in row-major order: where they lie when they lie so, else copied to `buffer`.
ByteSpan row_major_bytes(const Tensor& t, std::vector<std::byte>& buffer);

}  // namespace moproc::formats
