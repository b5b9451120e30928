// Colour operations, bit for bit as torchvision applies them to 8-bit Pillow images. All work in place. Factors are
// torchvision's: 1 leaves the picture unchanged (hue: 0, but even then pixels are converted to 8-bit HSV and back).
#pragma once

#include "image.h"

namespace moproc::data {

// Sets all three channels to L = (19595 r + 38470 g + 7471 b + 32768) >> 16.
void grayscale(Image& image);

// Blends with black: trunc(clip(factor * c)), in single precision.
void brightness(Image& image, float factor);

// Blends with the mean of L over the picture, rounded.
void contrast(Image& image, float factor);

// Blends with the pixel's own L.
void saturation(Image& image, float factor);

// Turns the hue by factor (-0.5 to 0.5) of a full circle: trunc(factor * 255) steps of Pillow's 8-bit HSV,
// modulo 256.
void hue(Image& image, double factor);

// The two conversions inside hue(), for one pixel, as Pillow defines them. h, s and v take the bytes of r, g and b.
std::uint32_t rgb_to_hsv(std::uint32_t rgb);
std::uint32_t hsv_to_rgb(std::uint32_t hsv);

}  // namespace moproc::data
