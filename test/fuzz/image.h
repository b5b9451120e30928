// The body of the fuzz targets of image decoders: bad input may cause one exception, and what was decoded has the size
// that it says, within the limit.
#pragma once

#include "data/decode.h"

namespace moproc::fuzz {

using Decoder = void (*)(std::span<const std::uint8_t>, data::Image&, const data::DecodeLimits&);

inline void decode_image(Decoder decoder, const std::uint8_t* bytes, std::size_t size) {
  static data::Image image;
  const data::DecodeLimits limits{.max_pixels = 1 << 20};
  try {
    decoder({bytes, size}, image, limits);
  } catch (const data::ImageError& e) {
    if (*e.what() == '\0') __builtin_trap();
    return;
  }
  if (image.count() == 0 || image.count() > limits.max_pixels) __builtin_trap();
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < image.count(); ++i) sum += image.data()[i];
  [[maybe_unused]] static volatile std::uint32_t seen = 0;
  seen = sum;
}

}  // namespace moproc::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
