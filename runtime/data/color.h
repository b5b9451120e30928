// Colour operations as torchvision applies them to 8-bit Pillow images, bit for bit. All work in place.
// Factors are torchvision's: 1 leaves the picture as it is (hue: 0, but even then a trip through 8-bit HSV).
#pragma once

#include "image.h"

namespace moproc::data {

// L = (19595 r + 38470 g + 7471 b + 32768) >> 16 in all three channels.
void grayscale(Image& image);

// Blends with black: trunc(clip(factor * c)), in single precision.
void brightness(Image& image, float factor);

// Blends with the rounded mean of L over the picture.
void contrast(Image& image, float factor);

// Blends with the pixel's own L.
void saturation(Image& image, float factor);

// Turns the hue by factor (-0.5 to 0.5) of a full circle: trunc(factor * 255) steps of Pillow's 8-bit HSV,
// modulo 256.
void hue(Image& image, double factor);

// The two conversions inside hue(), for one pixel, as Pillow defines them; h, s, v in the bytes of a pixel.
std::uint32_t rgb_to_hsv(std::uint32_t rgb);
std::uint32_t hsv_to_rgb(std::uint32_t hsv);

}  // namespace moproc::data
