// Antialiased bilinear resizing with the same bits as Pillow's 8-bit `resize(..., BILINEAR)`: a horizontal pass that is
// rounded to 8 bits, then a vertical one, both with weights in 22-bit fixed point.
#pragma once

#include <cstdint>
#include <vector>

#include "image.h"

namespace moproc::data {

struct Box {
  int top = 0;
  int left = 0;
  int height = 0;
  int width = 0;
};

// Weights of one direction. Output i is the sum over t < taps of weight[i * taps + t] * input[first[i] + t],
// where first[i] + t is inside the input for all weights that are not zero. A weight of 1 is stored as 1 << 22.
struct Weights {
  int taps = 0;  // a multiple of 4
  std::vector<int> first;
  std::vector<int> count;  // of non-padding taps
  std::vector<std::int32_t> weight;
};

// Fills `out` with the weights of `count` outputs from `begin` on when in_size values are scaled to out_size.
void make_weights(int in_size, std::int64_t out_size, std::int64_t begin, int count, Weights& out);
inline void make_weights(int in_size, int out_size, Weights& out) { make_weights(in_size, out_size, 0, out_size, out); }

// Reusable scratch memory of resize_box, one per thread.
struct ResizeScratch {
  Weights across, down;
  std::vector<std::int32_t> packed;
  Image between;
};

// Cuts `box` out of `in` (pixels outside it have no influence) and scales it to width x height. `out` must not be `in`.
// Throws std::invalid_argument if the box is empty or extends beyond the picture.
void resize_box(const Image& in, const Box& box, int width, int height, Image& out, ResizeScratch& scratch);

// A picture's size; of one that is only partly computed, so that it may have more pixels than memory.
struct Size {
  std::int64_t width, height;
};

// A part of such a picture.
struct Part {
  std::int64_t top, left;
  int height, width;
};

// Scales `in` to `size`, but computes only the pixels of `part`, each with the bits that it has in the whole. Memory is
// needed for the part, for its columns in the rows of `in` that it depends on, and for the weights of its rows and
// columns, but not for `size`. Throws std::invalid_argument if the part is empty or extends beyond `size`.
void resize_part(const Image& in, Size size, const Part& part, Image& out, ResizeScratch& scratch);

// Cuts out a box without scaling.
void crop(const Image& in, const Box& box, Image& out);

// The size after the shorter side is scaled to `side`, as in torchvision's Resize(side): the longer side is rounded
// down.
Size shorter_side(int width, int height, int side);

// torchvision's CenterCrop(side): the offset (extent - side) / 2 rounds halves to even, and missing borders are black.
// center_part() is the part that it keeps of a picture of this size; a picture of the kept part has the same crop.
Part center_part(Size size, int side);
void center_crop(const Image& in, int side, Image& out);

// Mirrors left and right, in place.
void flip_horizontal(Image& image);

}  // namespace moproc::data
