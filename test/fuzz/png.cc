// Image files: PNG.
#include "image.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  moproc::fuzz::decode_image(moproc::data::decode_png, data, size);
  return 0;
}
