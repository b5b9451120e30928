// CRC-32 as zip files have it (polynomial 0xedb88320, reflected).
#pragma once

#include <cstdint>

#include "formats/bytes.h"

namespace moproc::formats {

/// The CRC of what `crc` is the CRC of, followed by `bytes`; 0 is the CRC of nothing.
uint32_t crc32(uint32_t crc, ByteSpan bytes);

}  // namespace moproc::formats
