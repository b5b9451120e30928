// Conversion between logical and stored order. Only 4-D tensors differ: (a, b, h, w) is stored as (a, h, w, b).
#include "core/layout.h"

#include <immintrin.h>

#include <algorithm>
#include <cstring>

namespace moproc {
namespace {

constexpr int64_t kTile = 32;  // rows and columns that are moved together, so that both sides stay in cache

/// Rows [r0, r1) and columns [c0, c1) of (rows, cols) -> (cols, rows). Elements have kSize bytes and may have any
/// address, because logical ones may lie anywhere in a mapped file.
template <size_t kSize>
void move_tile(int64_t rows, int64_t cols, int64_t r0, int64_t r1, int64_t c0, int64_t c1, const std::byte* from,
               std::byte* to) {
  constexpr int64_t kStep = kSize;
  for (int64_t c = c0; c < c1; ++c)
    for (int64_t r = r0; r < r1; ++r) std::memcpy(to + (c * rows + r) * kStep, from + (r * cols + c) * kStep, kSize);
}

/// The same for a full tile of four-byte elements, by squares of 4 x 4 in registers.
void move_words(int64_t rows, int64_t cols, int64_t r0, int64_t c0, const std::byte* from, std::byte* to) {
  for (int64_t c = c0; c < c0 + kTile; c += 4)
    for (int64_t r = r0; r < r0 + kTile; r += 4) {
      const auto row = [&](int64_t i) {
        return _mm_loadu_ps(reinterpret_cast<const float*>(from + ((r + i) * cols + c) * 4));
      };
      const auto put = [&](int64_t i, __m128 v) {
        _mm_storeu_ps(reinterpret_cast<float*>(to + ((c + i) * rows + r) * 4), v);
      };
      __m128 a = row(0), b = row(1), d = row(2), e = row(3);
      _MM_TRANSPOSE4_PS(a, b, d, e);
      put(0, a), put(1, b), put(2, d), put(3, e);
    }
}

/// (outer, rows, cols) -> (outer, cols, rows).
template <size_t kSize>
void transpose(int64_t outer, int64_t rows, int64_t cols, const std::byte* from, std::byte* to) {
  constexpr int64_t kStep = kSize;
  for (int64_t o = 0; o < outer; ++o, from += rows * cols * kStep, to += rows * cols * kStep)
    for (int64_t c0 = 0; c0 < cols; c0 += kTile)
      for (int64_t r0 = 0; r0 < rows; r0 += kTile) {
        const int64_t r1 = std::min(r0 + kTile, rows), c1 = std::min(c0 + kTile, cols);
        if (kSize == 4 && r1 - r0 == kTile && c1 - c0 == kTile) move_words(rows, cols, r0, c0, from, to);
        else move_tile<kSize>(rows, cols, r0, r1, c0, c1, from, to);
      }
}

void transpose_bytes(int64_t size, int64_t outer, int64_t rows, int64_t cols, const std::byte* from, std::byte* to) {
  switch (size) {
    case 1: return transpose<1>(outer, rows, cols, from, to);
    case 2: return transpose<2>(outer, rows, cols, from, to);
    case 4: return transpose<4>(outer, rows, cols, from, to);
    default: return transpose<8>(outer, rows, cols, from, to);
  }
}

}  // namespace

int64_t dtype_size(DType t) {
  switch (t) {
    case DType::f64:
    case DType::u64:
    case DType::i64: return 8;
    case DType::f32:
    case DType::u32:
    case DType::i32: return 4;
    case DType::bf16:
    case DType::f16:
    case DType::u16:
    case DType::i16: return 2;
    case DType::i8:
    case DType::u8:
    case DType::boolean: return 1;
  }
  return 0;
}

const char* dtype_name(DType t) {
  switch (t) {
    case DType::f32: return "f32";
    case DType::bf16: return "bf16";
    case DType::f16: return "f16";
    case DType::f64: return "f64";
    case DType::i64: return "i64";
    case DType::i32: return "i32";
    case DType::i16: return "i16";
    case DType::i8: return "i8";
    case DType::u64: return "u64";
    case DType::u32: return "u32";
    case DType::u16: return "u16";
    case DType::u8: return "u8";
    case DType::boolean: return "bool";
  }
  return "?";
}

int64_t elements(const TensorInfo& t) {
  int64_t n = 1;
  for (int32_t d = 0; d < t.rank; ++d) n *= t.shape[d];
  return n;
}

std::string show_type(const TensorInfo& t) {
  std::string text = std::string(dtype_name(t.dtype)) + "[";
  for (int32_t d = 0; d < t.rank; ++d) text += (d ? "," : "") + std::to_string(t.shape[d]);
  return text + "]";
}

const char* short_name(const TensorInfo& t) {
  const char* const slash = std::strchr(t.name, '/');
  return slash ? slash + 1 : t.name;
}

void to_stored(const TensorInfo& t, const std::byte* logical, std::byte* stored) {
  if (t.rank != 4) {
    std::memcpy(stored, logical, static_cast<size_t>(t.bytes));
    return;
  }
  transpose_bytes(dtype_size(t.dtype), t.shape[0], t.shape[1], t.shape[2] * t.shape[3], logical, stored);
}

void to_logical(const TensorInfo& t, const std::byte* stored, std::byte* logical) {
  if (t.rank != 4) {
    std::memcpy(logical, stored, static_cast<size_t>(t.bytes));
    return;
  }
  transpose_bytes(dtype_size(t.dtype), t.shape[0], t.shape[2] * t.shape[3], t.shape[1], stored, logical);
}

}  // namespace moproc
