// Computes the weights and calls the two passes of resizing. The loops over pixels are in resize_passes.cc.
#include "resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>

#include "resize_passes.h"

namespace moproc::data {

void make_weights(int in_size, std::int64_t out_size, std::int64_t begin, int count, Weights& out) {
  const double scale = static_cast<double>(in_size) / static_cast<double>(out_size);
  const double stretch = std::max(scale, 1.0);  // shrinking widens the triangle, for antialiasing
  const double support = stretch;               // the triangle's half width is 1 output pixel
  const int most = static_cast<int>(std::ceil(support)) * 2 + 1;
  out.taps = (most + 3) / 4 * 4;
  out.first.resize(count);
  out.count.resize(count);
  out.weight.assign(static_cast<std::size_t>(count) * out.taps, 0);
  std::vector<double> exact(most);
  for (int i = 0; i < count; ++i) {
    const double center = (static_cast<double>(begin + i) + 0.5) * scale;
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

/// resize_box and resize_part. The vertical pass comes second, so it says which rows of `in` are needed.
void resize_into(const Image& in, const Box& box, Size size, const Part& part, Image& out, ResizeScratch& scratch) {
  const bool across = size.width != box.width, down = size.height != box.height;
  Box rows{box.top + static_cast<int>(down ? 0 : part.top), box.left, part.height, box.width};
  if (down) {
    Weights& w = scratch.down;
    make_weights(box.height, size.height, part.top, part.height, w);
    const int first = w.first.front(), end = w.first.back() + w.count.back();
    for (int& i : w.first) i -= first;
    rows.top = box.top + first;
    rows.height = end - first;
  }
  Image& to = down ? scratch.between : out;
  if (across) {
    make_weights(box.width, size.width, part.left, part.width, scratch.across);
    pass_across(in, rows, scratch.across, scratch.packed, to);
  } else {
    crop(in, {rows.top, box.left + static_cast<int>(part.left), rows.height, part.width}, to);
  }
  if (down) pass_down(scratch.between, scratch.down, out);
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
  resize_into(in, box, {width, height}, {0, 0, height, width}, out, scratch);
}

void resize_part(const Image& in, Size size, const Part& part, Image& out, ResizeScratch& scratch) {
  const Box whole{0, 0, in.height(), in.width()};
  check_box(in, whole);
  if (part.width <= 0 || part.height <= 0 || part.left < 0 || part.top < 0 || part.left > size.width - part.width ||
      part.top > size.height - part.height)
    throw std::invalid_argument("a part that is empty or beyond the resized picture");
  resize_into(in, whole, size, part, out, scratch);
}

Size shorter_side(int width, int height, int side) {
  const auto other = [side](int longer, int shorter) {
    return static_cast<std::int64_t>(static_cast<double>(static_cast<std::int64_t>(side) * longer) / shorter);
  };
  return width <= height ? Size{side, other(height, width)} : Size{other(width, height), side};
}

Part center_part(Size size, int side) {
  const auto offset = [side](std::int64_t extent) {
    return extent > side ? static_cast<std::int64_t>(std::nearbyint(static_cast<double>(extent - side) / 2.0)) : 0;
  };
  const auto kept = [side](std::int64_t extent) { return static_cast<int>(std::min<std::int64_t>(side, extent)); };
  return {offset(size.height), offset(size.width), kept(size.height), kept(size.width)};
}

void center_crop(const Image& in, int side, Image& out) {
  const auto pad = [side](int extent) { return extent < side ? (side - extent) / 2 : 0; };
  const Part part = center_part({in.width(), in.height()}, side);
  const Box box{static_cast<int>(part.top), static_cast<int>(part.left), part.height, part.width};
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
