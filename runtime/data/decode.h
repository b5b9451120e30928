// Files to pixels: JPEG (every colour model) and PNG, to 8-bit RGB as Pillow's `Image.open(f).convert("RGB")`
// has it. Surprising: stricter than Pillow on damage. Every pixel comes from bits in the file, or the file is
// refused. One difference: of a 16-bit grey PNG we keep the upper 8 bits, where Pillow clips (nearly all
// becomes white).
#pragma once

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "image.h"

namespace moproc::data {

// Why a file is no usable picture; what() is the reason alone, without the file's name.
class ImageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  // A read that failed with this errno.
  explicit ImageError(int error);
  // Whether the same read may go well a little later: a network's or a disk's hiccup.
  bool may_pass() const { return may_pass_; }

 private:
  bool may_pass_ = false;
};

struct DecodeLimits {
  std::uint64_t max_pixels = 178'956'970;  // where Pillow, too, calls a file a decompression bomb
  std::uint64_t max_bytes = 1ull << 30;    // of a file
  int max_scans = 500;                     // of a progressive JPEG: more is an attack on the decoder's time
};

// Decodes one file's bytes into `out` (RGB, any size). Throws ImageError with the reason. Thread safe.
void decode(std::span<const std::uint8_t> bytes, Image& out, const DecodeLimits& limits = {});

// Reads a whole file into `out`, whose capacity is reused. Throws ImageError with the reason.
void read_file(const std::string& path, std::vector<std::uint8_t>& out, const DecodeLimits& limits = {});

// The two formats; decode() chooses by the first bytes, never by the name.
void decode_jpeg(std::span<const std::uint8_t> bytes, Image& out, const DecodeLimits& limits);
void decode_png(std::span<const std::uint8_t> bytes, Image& out, const DecodeLimits& limits);

// "jpeg", "png", or a name for what is recognised but not read ("gif", "webp", "html", ...), or "" for the
// rest.
std::string sniff_format(std::span<const std::uint8_t> bytes);

// Throws ImageError when width x height is empty or over the limit.
void check_size(std::uint64_t width, std::uint64_t height, const DecodeLimits& limits);

}  // namespace moproc::data
