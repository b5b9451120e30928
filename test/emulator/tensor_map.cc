// TMA copies: boxes of up to five extents, columns of pixels (im2col), zeros outside the tensor.
#include "tensor_map.h"

#include <cstring>

namespace emulator {

namespace {

constexpr int line_bytes = 128, chunk_bytes = 16, element_bytes = 2;

/// Writes one line of `elements` neighbours of `from` (from element `first` of `extent`), with zeros outside the
/// extent.
void put_line(unsigned char* shared, uint32_t at, const unsigned char* from, int first, int extent, int elements) {
  for (int e = 0; e < elements; ++e) {
    const uint32_t byte = at + static_cast<uint32_t>(e * element_bytes);
    const uint32_t to = byte ^ (byte / line_bytes % 8 * chunk_bytes);
    const bool inside = from != nullptr && first + e >= 0 && first + e < extent;
    if (inside) std::memcpy(shared + to, from + static_cast<int64_t>(first + e) * element_bytes, element_bytes);
    else std::memset(shared + to, 0, element_bytes);
  }
}

void copy_box(const TensorMap& m, const int (&c)[6], unsigned char* shared, uint32_t at) {
  int lines = 1;
  for (int d = 1; d < m.rank; ++d) lines *= m.box[d];
  for (int line = 0; line < lines; ++line) {
    const unsigned char* from = m.base;
    int rest = line;
    for (int d = 1; d < m.rank; ++d) {
      const int i = c[d] + rest % m.box[d];
      rest /= m.box[d];
      if (i < 0 || i >= m.extent[d]) from = nullptr;
      else if (from != nullptr) from += i * m.stride[d - 1];
    }
    put_line(shared, at + static_cast<uint32_t>(line * m.box[0] * element_bytes), from, c[0], m.extent[0], m.box[0]);
  }
}

void copy_pixels(const TensorMap& m, const int (&c)[6], unsigned char* shared, uint32_t at) {
  int w = c[1], h = c[2], n = c[3];
  for (int pixel = 0; pixel < m.box[1]; ++pixel) {
    const int x = w + c[4], y = h + c[5];
    const bool inside = x >= 0 && x < m.extent[1] && y >= 0 && y < m.extent[2] && n >= 0 && n < m.extent[3];
    const unsigned char* const from = inside ? m.base + x * m.stride[0] + y * m.stride[1] + n * m.stride[2] : nullptr;
    put_line(shared, at + static_cast<uint32_t>(pixel * m.box[0] * element_bytes), from, c[0], m.extent[0], m.box[0]);
    if ((w += m.step[0]) <= m.extent[1] - 1 + m.upper[0]) continue;
    w = m.lower[0];
    if ((h += m.step[1]) <= m.extent[2] - 1 + m.upper[1]) continue;
    h = m.lower[1];
    ++n;
  }
}

/// Encodes the parts that both kinds have in common. Returns false if CUDA refuses them, as in the header.
bool encode(TensorMap& m, uint32_t rank, const void* address, const uint64_t* extents, const uint64_t* strides) {
  if (rank < 3 || rank > 5 || reinterpret_cast<uintptr_t>(address) % 16 != 0) return false;
  m.magic = TensorMap::encoded;
  m.rank = static_cast<uint8_t>(rank);
  m.base = static_cast<const unsigned char*>(address);
  for (uint32_t i = 0; i < rank; ++i) {
    if (extents[i] == 0 || extents[i] > 0x7fffffff) return false;
    m.extent[i] = static_cast<int32_t>(extents[i]);
    if (i + 1 == rank) break;
    if (strides[i] % 16 != 0 || strides[i] >= uint64_t{1} << 40) return false;
    m.stride[i] = static_cast<int64_t>(strides[i]);
  }
  return true;
}

constexpr uint32_t most_box = 256, most_pixels = 1024, most_step = 8;

}  // namespace

bool encode_box(void* to, uint32_t rank, const void* address, const uint64_t* extents, const uint64_t* strides,
                const uint32_t* box) {
  TensorMap m{};
  if (!encode(m, rank, address, extents, strides) || box[0] * element_bytes > line_bytes) return false;
  for (uint32_t i = 0; i < rank; ++i) {
    if (box[i] == 0 || box[i] > most_box) return false;
    m.box[i] = static_cast<int32_t>(box[i]);
  }
  std::memcpy(to, &m, sizeof m);
  return true;
}

bool encode_pixels(void* to, const void* address, const uint64_t* extents, const uint64_t* strides, const int* lower,
                   const int* upper, uint32_t channels, uint32_t pixels, const uint32_t* steps) {
  TensorMap m{};
  if (!encode(m, 4, address, extents, strides) || channels * element_bytes > line_bytes || pixels > most_pixels)
    return false;
  m.im2col = 1;
  m.box[0] = static_cast<int32_t>(channels);
  m.box[1] = static_cast<int32_t>(pixels);
  for (int i = 0; i < 2; ++i) {
    const bool fits = lower[i] >= -128 && lower[i] <= 127 && upper[i] >= -128 && upper[i] <= 127;
    const bool some = m.extent[i + 1] - 1 + upper[i] >= lower[i];
    if (!fits || !some || steps[i] == 0 || steps[i] > most_step) return false;
    m.lower[i] = static_cast<int8_t>(lower[i]);
    m.upper[i] = static_cast<int8_t>(upper[i]);
    m.step[i] = static_cast<uint8_t>(steps[i]);
  }
  std::memcpy(to, &m, sizeof m);
  return true;
}

int tensor_map_bytes(const TensorMap& m) {
  int elements = 1;
  for (int d = 0; d < (m.im2col ? 2 : m.rank); ++d) elements *= m.box[d];
  return elements * element_bytes;
}

void tensor_map_copy(const TensorMap& m, const int (&c)[6], unsigned char* shared, uint32_t at) {
  if (m.im2col) copy_pixels(m, c, shared, at);
  else copy_box(m, c, shared, at);
}

}  // namespace emulator
