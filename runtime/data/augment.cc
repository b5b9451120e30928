// Draws random changes of images and applies them. The order of the draws in a stream determines the result of every
// run, so it must not change: crop (area and ratio per try, then row, column), flip, grey, order of the jitter,
// brightness, contrast, saturation, hue.
#include "augment.h"

#include <cmath>

#include "color.h"

namespace moproc::data {

Box draw_crop(Stream& stream, int width, int height, const AugmentOptions& options) {
  const double area = static_cast<double>(width) * height;
  const double log_low = std::log(options.ratio_low), log_high = std::log(options.ratio_high);
  for (int attempt = 0; attempt < 10; ++attempt) {
    const double target = area * stream.uniform(options.scale_low, options.scale_high);
    const double ratio = std::exp(stream.uniform(log_low, log_high));
    const int w = static_cast<int>(std::nearbyint(std::sqrt(target * ratio)));
    const int h = static_cast<int>(std::nearbyint(std::sqrt(target / ratio)));
    if (w < 1 || h < 1 || w > width || h > height) continue;
    const int top = stream.between(0, height - h);
    const int left = stream.between(0, width - w);
    return {top, left, h, w};
  }
  const double ratio = static_cast<double>(width) / height;
  int w = width, h = height;
  if (ratio < options.ratio_low) h = static_cast<int>(std::nearbyint(w / options.ratio_low));
  if (ratio > options.ratio_high) w = static_cast<int>(std::nearbyint(h * options.ratio_high));
  return {(height - h) / 2, (width - w) / 2, h, w};
}

Draw draw_weak(std::uint64_t seed, std::uint32_t epoch, std::uint32_t item, int width, int height,
               const AugmentOptions& options) {
  Stream stream(seed, Purpose::weak_view, epoch, item);
  Draw draw;
  draw.crop = draw_crop(stream, width, height, options);
  draw.flip = stream.chance(options.flip);
  return draw;
}

Draw draw_strong(std::uint64_t seed, std::uint32_t epoch, std::uint32_t item, int width, int height,
                 const AugmentOptions& options) {
  Stream stream(seed, Purpose::strong_view, epoch, item);
  Draw draw;
  draw.crop = draw_crop(stream, width, height, options);
  draw.flip = stream.chance(options.flip);
  draw.gray = stream.chance(options.gray);
  draw.jitters = true;
  stream.shuffle(draw.order);
  const auto factor = [&] { return static_cast<float>(stream.uniform(1 - options.jitter, 1 + options.jitter)); };
  draw.brightness = factor();
  draw.contrast = factor();
  draw.saturation = factor();
  draw.hue = stream.uniform(-options.jitter, options.jitter);
  return draw;
}

namespace {

void jitter(const Draw& draw, Image& image) {
  for (const Jitter step : draw.order) {
    switch (step) {
      case Jitter::brightness: brightness(image, draw.brightness); break;
      case Jitter::contrast: contrast(image, draw.contrast); break;
      case Jitter::saturation: saturation(image, draw.saturation); break;
      case Jitter::hue: hue(image, draw.hue); break;
    }
  }
}

}  // namespace

void apply(const Draw& draw, const AugmentOptions& options, Workspace& w, std::uint8_t* out) {
  resize_box(w.decoded, draw.crop, options.size, options.size, w.view, w.resize);
  if (draw.gray) grayscale(w.view);
  if (draw.jitters) jitter(draw, w.view);
  if (draw.flip) flip_horizontal(w.view);
  store_rgb(w.view, out);
}

void apply_test(const AugmentOptions& options, Workspace& w, std::uint8_t* out) {
  const Size size = shorter_side(w.decoded.width(), w.decoded.height(), options.resize_side());
  resize_part(w.decoded, size, center_part(size, options.size), w.resized, w.resize);
  center_crop(w.resized, options.size, w.view);
  store_rgb(w.view, out);
}

}  // namespace moproc::data
