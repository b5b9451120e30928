// Takes sixteen bytes per round, with one table for each: about 2 GB/s, so that checking is as fast as reading.
#include "formats/crc32.h"

#include <array>

namespace moproc::formats {
namespace {

constexpr size_t kSlices = 16;
using Tables = std::array<std::array<uint32_t, 256>, kSlices>;

constexpr Tables make_tables() {
  Tables t{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ (c & 1 ? 0xedb88320u : 0);
    t[0][i] = c;
  }
  for (size_t slice = 1; slice < kSlices; ++slice)
    for (size_t i = 0; i < 256; ++i) t[slice][i] = (t[slice - 1][i] >> 8) ^ t[0][t[slice - 1][i] & 255];
  return t;
}

constexpr Tables kTables = make_tables();

}  // namespace

uint32_t crc32(uint32_t crc, ByteSpan bytes) {
  uint32_t c = ~crc;
  size_t at = 0;
  for (; bytes.size() - at >= kSlices; at += kSlices) {
    uint64_t low = load<uint64_t>(bytes, at) ^ c, high = load<uint64_t>(bytes, at + 8);
    c = 0;
    for (size_t k = 0; k < 8; ++k, low >>= 8, high >>= 8) c ^= kTables[15 - k][low & 255] ^ kTables[7 - k][high & 255];
  }
  for (; at < bytes.size(); ++at) c = (c >> 8) ^ kTables[0][(c ^ static_cast<uint8_t>(bytes[at])) & 255];
  return ~c;
}

}  // namespace moproc::formats
