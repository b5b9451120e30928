// Decodes JPEG (every colour model), PNG, WebP and GIF files to 8-bit RGB, with the result of Pillow's
// `Image.open(f).convert("RGB")`: the first frame of an animation, no colour management, no rotation by EXIF.
// Surprising: it is stricter than Pillow on damaged files. Every pixel comes from bits in the file, or the file is
// refused.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "image.h"
#include "picture_kind.h"

namespace moproc::data {

// Thrown for a file that is not a usable picture. what() is only the reason, without the name of the file.
class ImageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  // A read that failed with this errno.
  explicit ImageError(int error);
  // Whether the same read may succeed a little later, because the network or disk failed briefly.
  bool may_pass() const { return may_pass_; }
  // The name of the picture's kind if this program does not decode that kind ("TIFF"); otherwise empty.
  const std::string& unread_kind() const { return unread_kind_; }

  // A picture of a kind that this program does not decode.
  static ImageError of_kind(const PictureKind& kind);

 private:
  bool may_pass_ = false;
  std::string unread_kind_;
};

struct DecodeLimits {
  std::uint64_t max_pixels = 178'956'970;  // the limit above which Pillow calls a file a decompression bomb
  std::uint64_t max_bytes = 1ull << 30;    // of a file
  int max_scans = 500;                     // of a progressive JPEG; more scans are an attack on the decoder's time
};

// Decodes the bytes of one file into `out`, which gets the picture's size. Throws ImageError. Thread safe.
void decode(std::span<const std::uint8_t> bytes, Image& out, const DecodeLimits& limits = {});

// A file that is open for reading. Throws ImageError if it cannot be opened, is no regular file, or is too large.
class ImageFile {
 public:
  ImageFile(const std::string& path, const DecodeLimits& limits);
  ~ImageFile();
  ImageFile(const ImageFile&) = delete;
  ImageFile& operator=(const ImageFile&) = delete;
  int fd() const { return fd_; }
  std::uint64_t bytes() const { return bytes_; }

 private:
  int fd_;
  std::uint64_t bytes_ = 0;
};

// Calls `read` again, up to three times, if it throws an ImageError that may pass: after 0.2, 0.8 and 3.2 seconds.
template <class F>
void patiently(F&& read) {
  for (int attempt = 1;; ++attempt) {
    try {
      return read();
    } catch (const ImageError& e) {
      if (!e.may_pass() || attempt == 4) throw;
      std::this_thread::sleep_for(std::chrono::milliseconds(50 << (2 * attempt)));
    }
  }
}

// Reads a whole file into `out`, whose capacity is reused. Throws ImageError.
void read_file(const std::string& path, std::vector<std::uint8_t>& out, const DecodeLimits& limits = {});

// The decoders of the formats. decode() chooses by the first bytes, never by the name. The last two exist only if their
// libraries were there when the program was built.
void decode_jpeg(std::span<const std::uint8_t> bytes, Image& out, const DecodeLimits& limits);
void decode_png(std::span<const std::uint8_t> bytes, Image& out, const DecodeLimits& limits);
void decode_webp(std::span<const std::uint8_t> bytes, Image& out, const DecodeLimits& limits);
void decode_gif(std::span<const std::uint8_t> bytes, Image& out, const DecodeLimits& limits);

// Throws ImageError if width x height is empty or exceeds the limit.
void check_size(std::uint64_t width, std::uint64_t height, const DecodeLimits& limits);

}  // namespace moproc::data
