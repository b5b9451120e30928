// SHA-256 (FIPS 180-4), incremental.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace moproc::formats {

class Sha256 {
 public:
  void add(std::span<const std::byte> bytes);
  /// The digest as 64 lower-case hexadecimal digits. Ends the computation.
  std::string hex();

 private:
  void compress(const uint8_t* block);

  std::array<uint32_t, 8> h_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  uint8_t tail_[64] = {};
  size_t tail_size_ = 0;
  uint64_t total_ = 0;
};

/// The digest of a whole file, 64 hexadecimal digits. Throws InputError if the file cannot be read.
std::string file_sha256(const std::string& path);

}  // namespace moproc::formats
