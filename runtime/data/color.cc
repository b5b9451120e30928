// Brightness, contrast, saturation, grey. Loops treat a pixel as one 32-bit lane, which the compiler vectorises. To
// round like Pillow, they use single precision, no fused multiply-add, and truncation at the end.
#include "color.h"

#include "simd.h"

namespace moproc::data {
namespace {

inline int luma(std::uint32_t p) { return (red(p) * 19595 + green(p) * 38470 + blue(p) * 7471 + 0x8000) >> 16; }

// from + factor * (to - from), clipped to 0..255 and truncated; factor may be outside 0..1.
inline int blend(int from, int to, float factor) {
  const float mixed = static_cast<float>(from) + factor * static_cast<float>(to - from);
  const float bounded = mixed < 0.0f ? 0.0f : mixed > 255.0f ? 255.0f : mixed;
  return static_cast<int>(bounded);
}

MOPROC_CLONES void blend_with_constant(std::uint32_t* pixels, std::size_t count, int constant, float factor) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t p = pixels[i];
    pixels[i] =
        pixel(blend(constant, red(p), factor), blend(constant, green(p), factor), blend(constant, blue(p), factor));
  }
}

MOPROC_CLONES void blend_with_luma(std::uint32_t* pixels, std::size_t count, float factor) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t p = pixels[i];
    const int grey = luma(p);
    pixels[i] = pixel(blend(grey, red(p), factor), blend(grey, green(p), factor), blend(grey, blue(p), factor));
  }
}

MOPROC_CLONES void to_luma(std::uint32_t* pixels, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const int grey = luma(pixels[i]);
    pixels[i] = pixel(grey, grey, grey);
  }
}

MOPROC_CLONES std::uint32_t sum_luma(const std::uint32_t* pixels, std::size_t count) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += static_cast<std::uint32_t>(luma(pixels[i]));
  return sum;
}

int mean_luma(const Image& image) {
  constexpr std::size_t block = 1 << 20;  // a sum of this many values of 255 fits 32 bits
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < image.count(); i += block) {
    const std::size_t left = image.count() - i;
    sum += sum_luma(image.data() + i, left < block ? left : block);
  }
  return static_cast<int>(static_cast<double>(sum) / static_cast<double>(image.count()) + 0.5);
}

}  // namespace

void grayscale(Image& image) { to_luma(image.data(), image.count()); }

void brightness(Image& image, float factor) { blend_with_constant(image.data(), image.count(), 0, factor); }

void contrast(Image& image, float factor) {
  blend_with_constant(image.data(), image.count(), mean_luma(image), factor);
}

void saturation(Image& image, float factor) { blend_with_luma(image.data(), image.count(), factor); }

}  // namespace moproc::data
