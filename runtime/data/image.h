// An 8-bit picture in memory, with 4 bytes per pixel: red, green, blue, and an unused one. Surprising: pixels are
// 32-bit words (red in the low byte), because the vector loops need that. The buffer only grows, so that a worker
// reuses the same pages for every file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace moproc::data {

inline constexpr std::uint32_t pixel(int r, int g, int b) {
  return static_cast<std::uint32_t>(r) | static_cast<std::uint32_t>(g) << 8 | static_cast<std::uint32_t>(b) << 16;
}
inline constexpr int red(std::uint32_t p) { return static_cast<int>(p & 255); }
inline constexpr int green(std::uint32_t p) { return static_cast<int>(p >> 8 & 255); }
inline constexpr int blue(std::uint32_t p) { return static_cast<int>(p >> 16 & 255); }

// A width x height picture; rows follow each other without gaps. Behind the last row the buffer has `slack` more
// readable pixels, because vector loads may run past the end of a row (the surplus is multiplied by zero).
class Image {
 public:
  static constexpr int slack = 16;

  Image() = default;
  Image(int width, int height) { reset(width, height); }

  // Sets a new size; the pixels are unspecified afterwards.
  void reset(int width, int height) {
    const std::size_t need = static_cast<std::size_t>(width) * height + slack;
    if (need > capacity_) {
      pixels_ = std::make_unique<std::uint32_t[]>(need);
      capacity_ = need;
    }
    width_ = width;
    height_ = height;
  }

  int width() const { return width_; }
  int height() const { return height_; }
  std::size_t count() const { return static_cast<std::size_t>(width_) * height_; }
  std::uint32_t* row(int y) { return pixels_.get() + static_cast<std::size_t>(y) * width_; }
  const std::uint32_t* row(int y) const { return pixels_.get() + static_cast<std::size_t>(y) * width_; }
  std::uint32_t* data() { return pixels_.get(); }
  const std::uint32_t* data() const { return pixels_.get(); }

 private:
  std::unique_ptr<std::uint32_t[]> pixels_;
  std::size_t capacity_ = 0;
  int width_ = 0;
  int height_ = 0;
};

// Writes the picture to `out` as packed 8-bit RGB, from the top row down: width * height * 3 bytes.
void store_rgb(const Image& image, std::uint8_t* out);

}  // namespace moproc::data
