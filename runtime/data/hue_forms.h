// The forms of hue() for different vectors, which give the same bits; hue() takes the widest that the CPU has. Tests
// compare each with the definition.
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd.h"

#if MOPROC_X86

namespace moproc::data {

// Adds `turn` (0..255) to the hue of `count` pixels. The CPU must have AVX2. Reads and writes up to 7 pixels after the
// last one (the picture's slack).
void turn_avx2(std::uint32_t* pixels, std::size_t count, int turn);

// The same with AVX-512 (F and DQ), exactly `count` pixels.
void turn_avx512(std::uint32_t* pixels, std::size_t count, int turn);

}  // namespace moproc::data

#endif
