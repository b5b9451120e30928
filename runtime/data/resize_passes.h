// The two passes of resizing, and the packing of pixels: vector code and portable code with the same results.
#pragma once

#include "resize.h"

namespace moproc::data {

inline constexpr int weight_bits = 22;

// Scales the rows of `box` to weights.first.size() pixels; out is (box.height, out width). `packed` is scratch memory.
void pass_across(const Image& in, const Box& box, const Weights& weights, std::vector<std::int32_t>& packed,
                 Image& out);

// Scales columns; out is (weights.first.size(), in.width()).
void pass_down(const Image& in, const Weights& weights, Image& out);

// The same passes without vector code, for machines without AVX2. The vector code is tested against them.
void pass_across_portable(const Image& in, const Box& box, const Weights& weights, Image& out);
void pass_down_portable(const Image& in, const Weights& weights, Image& out);

// Writes `count` pixels without the fourth byte of each.
void pack_rgb(const std::uint32_t* pixels, std::size_t count, std::uint8_t* out);

}  // namespace moproc::data
