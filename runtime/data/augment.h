// The three transforms from a picture to a square of pixels: weak (query), strong (key) and test, as MoPro defines them
// with torchvision's transforms. Drawing is separate from applying, so that tests can look at the draws.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "core/rng.h"
#include "decode.h"
#include "image.h"
#include "resize.h"

namespace moproc::data {

struct AugmentOptions {
  int size = 224;          // side of the result, pixels
  int test_resize = 0;     // shorter side before the test crop; 0: size * 256 / 224, rounded
  double scale_low = 0.2;  // area of a random crop, as a share of the picture's
  double scale_high = 1.0;
  double ratio_low = 3.0 / 4.0;  // width / height of a random crop
  double ratio_high = 4.0 / 3.0;
  double flip = 0.5;  // probabilities
  double gray = 0.2;
  double jitter = 0.4;  // brightness, contrast, saturation: factors in 1 -+ jitter; hue: turns in -+ jitter

  int resize_side() const { return test_resize > 0 ? test_resize : (size * 256 + 112) / 224; }
};

enum class Jitter : std::uint8_t { brightness, contrast, saturation, hue };

// All random choices for one view of one picture.
struct Draw {
  Box crop;
  bool flip = false;
  bool gray = false;
  bool jitters = false;  // if false, the members below have no effect
  std::array<Jitter, 4> order{Jitter::brightness, Jitter::contrast, Jitter::saturation, Jitter::hue};
  float brightness = 1, contrast = 1, saturation = 1;
  double hue = 0;
};

// The box of torchvision's RandomResizedCrop for a width x height picture: ten tries, then the largest centred crop
// with an allowed ratio.
Box draw_crop(Stream& stream, int width, int height, const AugmentOptions& options);

// The draws for the two views of sample `item` in `epoch`, as functions of seed, epoch, item and the picture's size.
Draw draw_weak(std::uint64_t seed, std::uint32_t epoch, std::uint32_t item, int width, int height,
               const AugmentOptions& options);
Draw draw_strong(std::uint64_t seed, std::uint32_t epoch, std::uint32_t item, int width, int height,
                 const AugmentOptions& options);

// Scratch memory of one thread: encoded bytes, the decoded picture, buffers for resizing.
struct Workspace {
  std::vector<std::uint8_t> bytes;
  Image decoded, resized, view;
  ResizeScratch resize;
};

// Applies a draw to w.decoded and writes the result to `out`: size * size * 3 bytes, rows of RGB.
void apply(const Draw& draw, const AugmentOptions& options, Workspace& w, std::uint8_t* out);

// The test transform of w.decoded (shorter side to resize_side(), centre crop), written to `out` in the same form.
// Only the part that the crop shows is enlarged, so a picture of 1 x 60,000 pixels needs no more memory than others.
void apply_test(const AugmentOptions& options, Workspace& w, std::uint8_t* out);

}  // namespace moproc::data
