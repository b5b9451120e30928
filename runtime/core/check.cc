// An exponent of all ones is NaN or infinity, in every floating-point type.
#include "core/check.h"

#include "core/layout.h"

namespace moproc {
namespace {

template <class T>
int64_t first_masked(const std::byte* data, int64_t n, T mask) {
  const T* const p = reinterpret_cast<const T*>(data);
  for (int64_t i = 0; i < n; ++i)
    if ((p[i] & mask) == mask) return i;
  return -1;
}

}  // namespace

int64_t first_nonfinite(const TensorInfo& t, const std::byte* stored) {
  const int64_t n = elements(t);
  switch (t.dtype) {
    case DType::f32: return first_masked<uint32_t>(stored, n, 0x7f800000);
    case DType::f64: return first_masked<uint64_t>(stored, n, 0x7ff0000000000000);
    case DType::bf16: return first_masked<uint16_t>(stored, n, 0x7f80);
    case DType::f16: return first_masked<uint16_t>(stored, n, 0x7c00);
    default: return -1;
  }
}

}  // namespace moproc
