// Encodes pixels as a JPEG file.
#pragma once

#include <cstdint>
#include <vector>

namespace moproc::tools {

// Returns the bytes of the file, with 4:2:0 chroma. rgb: width * height * 3 bytes, rows top down. quality: 1..100.
// Throws std::runtime_error.
std::vector<std::uint8_t> encode_jpeg(const std::uint8_t* rgb, int width, int height, int quality);

}  // namespace moproc::tools
