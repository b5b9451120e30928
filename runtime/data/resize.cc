// Computes the weights and calls the two passes of resizing. The loops over pixels are in resize_passes.cc.
#include "resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>

#include "resize_passes.h"

namespace moproc::data {

void make_weights(int in_size, int out_size, Weights& out) {
  const double scale = static_cast<double>(in_size) / out_size;
  const double stretch = std::max(scale, 1.0);  // shrinking widens the triangle, for antialiasing
  const double support = stretch;               // the triangle's half width is 1 output pixel
  const int most = static_cast<int>(std::ceil(support)) * 2 + 1;
  out.taps = (most + 3) / 4 * 4;
  out.first.resize(out_size);
  out.count.resize(out_size);
  out.weight.assign(static_cast<std::size_t>(out_size) * out.taps, 0);
  std::vector<double> exact(most);
  for (int i = 0; i < out_size; ++i) {
    const double center = (i + 0.5) * scale;
    const double inverse = 1.0 / stretch;
    const int first = std::max(static_cast<int>(center - support + 0.5), 0);
    const int last = std::min(static_cast<int>(center + support + 0.5), in_size);
    double sum = 0;
    for (int t = 0; t < last - first; ++t) {
      const double distance = std::fabs((t + first - center + 0.5) * inverse);
      exact[t] = distance < 1.0 ? 1.0 - distance : 0.0;
      sum += exact[t];
    }
    for (int t = 0; t < last - first; ++t) {
      const double share = sum != 0.0 ? exact[t] / sum : exact[t];
      out.weight[static_cast<std::size_t>(i) * out.taps + t] = static_cast<int>(0.5 + share * (1 << weight_bits));
    }
    out.first[i] = first;
    out.count[i] = last - first;
  }
}

namespace {

void check_box(const Image& in, const Box& b) {
  if (b.width > 0 && b.height > 0 && b.left >= 0 && b.top >= 0 && b.width <= in.width() - b.left &&
      b.height <= in.height() - b.top) {
    return;
  }
  throw std::invalid_argument("crop of " + std::to_string(b.width) + " x " + std::to_string(b.height) + " at " +
                              std::to_string(b.left) + ", " + std::to_string(b.top) + " does not fit a picture of " +
                              std::to_string(in.width()) + " x " + std::to_string(in.height()));
}

}  // namespace

void crop(const Image& in, const Box& box, Image& out) {
  check_box(in, box);
  out.reset(box.width, box.height);
  for (int y = 0; y < box.height; ++y) {
    std::memcpy(out.row(y), in.row(box.top + y) + box.left, static_cast<std::size_t>(box.width) * 4);
  }
}

void resize_box(const Image& in, const Box& box, int width, int height, Image& out, ResizeScratch& scratch) {
  check_box(in, box);
  if (width <= 0 || height <= 0) throw std::invalid_argument("resize to an empty size");
  const bool across = width != box.width;
  const bool down = height != box.height;
  if (!across && !down) return crop(in, box, out);
  if (!down) {
    make_weights(box.width, width, scratch.across);
    return pass_across(in, box, scratch.across, scratch.packed, out);
  }
  if (across) {
    make_weights(box.width, width, scratch.across);
    pass_across(in, box, scratch.across, scratch.packed, scratch.between);
  } else {
    crop(in, box, scratch.between);
  }
  make_weights(box.height, height, scratch.down);
  pass_down(scratch.between, scratch.down, out);
}

Size shorter_side(int width, int height, int side) {
  const auto other = [side](int longer, int shorter) {
    return static_cast<int>(static_cast<double>(static_cast<std::int64_t>(side) * longer) / shorter);
  };
  return width <= height ? Size{side, other(height, width)} : Size{other(width, height), side};
}

void center_crop(const Image& in, int side, Image& out) {
  const auto pad = [side](int extent) { return extent < side ? (side - extent) / 2 : 0; };
  const auto offset = [side](int extent) {
    return extent > side ? static_cast<int>(std::nearbyint((extent - side) / 2.0)) : 0;
  };
  const Box box{offset(in.height()), offset(in.width()), std::min(side, in.height()), std::min(side, in.width())};
  if (box.width == side && box.height == side) return crop(in, box, out);
  out.reset(side, side);
  std::fill_n(out.data(), out.count(), 0u);
  for (int y = 0; y < box.height; ++y) {
    std::memcpy(out.row(pad(in.height()) + y) + pad(in.width()), in.row(box.top + y) + box.left,
                static_cast<std::size_t>(box.width) * 4);
  }
}

void flip_horizontal(Image& image) {
  for (int y = 0; y < image.height(); ++y) std::reverse(image.row(y), image.row(y) + image.width());
}

void store_rgb(const Image& image, std::uint8_t* out) { pack_rgb(image.data(), image.count(), out); }

}  // namespace moproc::data
