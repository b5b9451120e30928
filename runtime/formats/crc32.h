// CRC-32 as in zip files (polynomial 0xedb88320, reflected).
#pragma once

#include <cstdint>

#include "formats/bytes.h"

namespace moproc::formats {

/// Continues the CRC `crc` of earlier bytes with `bytes`. The CRC of no bytes is 0.
uint32_t crc32(uint32_t crc, ByteSpan bytes);

}  // namespace moproc::formats
