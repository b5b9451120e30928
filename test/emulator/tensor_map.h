// Tensor maps as the emulated driver encodes them, and the copies that TMA makes with them.
#pragma once

#include <cstdint>

namespace emulator {

/// The contents of a CUtensorMap (128 opaque bytes) in the emulator. Extents are innermost first; elements have 2
/// bytes, the innermost extent is dense, and lines of shared memory have 128 bytes and are swizzled.
struct TensorMap {
  static constexpr uint32_t encoded = 0x54414d50;
  uint32_t magic;
  uint8_t rank, im2col, step[2];  // im2col: from pixel to pixel along w, h
  const unsigned char* base;
  int64_t stride[4];          // bytes from one to the next along extents 1, 2, ...
  int32_t extent[5], box[5];  // im2col: box = {channels, pixels}
  int8_t lower[2], upper[2];  // im2col: base pixels lie from `lower` to extent - 1 + `upper`, along w, h
};
static_assert(sizeof(TensorMap) <= 128);

/// Fill a map (128 bytes at `to`) as cuTensorMapEncodeTiled and cuTensorMapEncodeIm2col do. Return false if CUDA
/// refuses: an address or stride that is not a multiple of 16, a box or window out of range.
bool encode_box(void* to, uint32_t rank, const void* address, const uint64_t* extents, const uint64_t* strides,
                const uint32_t* box);
bool encode_pixels(void* to, const void* address, const uint64_t* extents, const uint64_t* strides, const int* lower,
                   const int* upper, uint32_t channels, uint32_t pixels, const uint32_t* steps);

/// Bytes that one copy writes.
int tensor_map_bytes(const TensorMap& map);
/// Copies the box at c[0..rank), or the column of pixels with base c = (channel, w, h, n) shifted by (c[4], c[5]), to
/// byte `at` of the block's shared memory `shared`.
void tensor_map_copy(const TensorMap& map, const int (&c)[6], unsigned char* shared, uint32_t at);

}  // namespace emulator
