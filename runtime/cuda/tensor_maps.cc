// The driver encodes the maps. It takes extents and strides from innermost to outermost, without the innermost stride.
#include "cuda/tensor_maps.h"

namespace moproc::cuda {

TensorMap encode(const Driver& driver, const TensorMapInfo& map, DevicePtr address) {
  TensorMap encoded;
  void* const at = reinterpret_cast<void*>(address);
  uint64_t extents[4], strides[4];
  uint32_t box[4], steps[4] = {1, 1, 1, 1};
  uint64_t bytes = 2;
  for (int i = 0; i < map.rank; ++i) {
    extents[i] = static_cast<uint64_t>(map.extent[i]);
    box[i] = static_cast<uint32_t>(map.box[i]);
    bytes *= extents[i];
    strides[i] = bytes;
  }
  const auto rank = static_cast<uint32_t>(map.rank);
  if (map.step == 0) {
    driver.encode_box(&encoded, kTensorBf16, rank, at, extents, strides, box, steps, kInterleaveNone, kSwizzle128,
                      kL2Promotion256, kFillZeros);
    return encoded;
  }
  steps[1] = steps[2] = static_cast<uint32_t>(map.step);
  driver.encode_pixels(&encoded, kTensorBf16, rank, at, extents, strides, map.lower, map.upper, box[0], box[1], steps,
                       kInterleaveNone, kSwizzle128, kL2Promotion256, kFillZeros);
  return encoded;
}

}  // namespace moproc::cuda
