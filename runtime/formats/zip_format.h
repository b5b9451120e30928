// Constants of the zip format (PKWARE's APPNOTE 6.3) that reader and writer share. Sizes do not include names and extra
// fields.
#pragma once

#include <cstddef>
#include <cstdint>

namespace moproc::formats::zip {

inline constexpr uint32_t kLocalHeader = 0x04034b50, kCentralHeader = 0x02014b50, kEnd = 0x06054b50;
inline constexpr uint32_t kEnd64 = 0x06064b50, kLocator64 = 0x07064b50, kDescriptorMark = 0x08074b50;
inline constexpr size_t kLocalSize = 30, kCentralSize = 46, kEndSize = 22, kEnd64Size = 56, kLocatorSize = 20;
inline constexpr size_t kDescriptorSize = 16, kDescriptor64Size = 24;
inline constexpr uint16_t kEncrypted = 1, kDescriptor = 8, kUtf8 = 0x800;  // flags
inline constexpr uint16_t kZip64Extra = 1, kPaddingExtra = 0x4246;         // "FB", as torch names its padding
inline constexpr uint64_t kSee64 = 0xffffffff;                             // the value is in the zip64 extra field

}  // namespace moproc::formats::zip
