// Decodes JPEG (every colour model) and PNG files to 8-bit RGB, with the result of Pillow's
// `Image.open(f).convert("RGB")`. Surprising: it is stricter than Pillow on damaged files. Every pixel comes from bits
// in the file, or the file is refused. One difference: of a 16-bit grey PNG it keeps the upper 8 bits, whereas Pillow
// clips (nearly all pixels become white).
#pragma once

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "image.h"

namespace moproc::data {

// Thrown for a file that is not a usable picture. what() is only the reason, without the name of the file.
class ImageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  // A read that failed with this errno.
  explicit ImageError(int error);
  // Whether the same read may succeed a little later, because the network or disk failed briefly.
  bool may_pass() const { return may_pass_; }

 private:
  bool may_pass_ = false;
};

struct DecodeLimits {
  std::uint64_t max_pixels = 178'956'970;  // the limit above which Pillow calls a file a decompression bomb
  std::uint64_t max_bytes = 1ull << 30;    // of a file
  int max_scans = 500;                     // of a progressive JPEG; more scans are an attack on the decoder's time
};

// Decodes the bytes of one file into `out`, which gets the picture's size. Throws ImageError. Thread safe.
void decode(std::span<const std::uint8_t> bytes, Image& out, const DecodeLimits& limits = {});

// Reads a whole file into `out`, whose capacity is reused. Throws ImageError.
void read_file(const std::string& path, std::vector<std::uint8_t>& out, const DecodeLimits& limits = {});

// The decoders of the two formats. decode() chooses by the first bytes, never by the name.
void decode_jpeg(std::span<const std::uint8_t> bytes, Image& out, const DecodeLimits& limits);
void decode_png(std::span<const std::uint8_t> bytes, Image& out, const DecodeLimits& limits);

// "jpeg", "png", the name of a recognised format that cannot be read ("gif", "webp", "html", ...), or "".
std::string sniff_format(std::span<const std::uint8_t> bytes);

// Throws ImageError if width x height is empty or exceeds the limit.
void check_size(std::uint64_t width, std::uint64_t height, const DecodeLimits& limits);

}  // namespace moproc::data
