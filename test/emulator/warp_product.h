// The products of a warp (mma.sync). Each element of the result is summed over the terms in order, and every product
// and sum is rounded to f32.
#pragma once

#include <cstdint>

namespace emulator {

/// The registers of one lane: of a (16 x K), b (K x 8) and d (16 x 8), as the PTX ISA distributes them.
struct Fragments {
  uint32_t a[4], b[2];
  float d[4];
};
struct WarpSums {
  float d[4];
};

/// out = d + a b over the 32 lanes of a warp: 16 terms of bf16, two per register.
void product_of_bf16(const Fragments* const* in, WarpSums* const* out);
/// The same for 8 terms of tf32, one per register, without the bits that tf32 does not have.
void product_of_tf32(const Fragments* const* in, WarpSums* const* out);

}  // namespace emulator
