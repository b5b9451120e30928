// The forms of the passes of resizing for different vectors, which give the same bits; pass_across() and pass_down()
// take the widest that the CPU has. `out` must have its size already. `packed` has the weights in the order of
// pack_weights().
#pragma once

#include <cstdint>
#include <vector>

#include "resize_passes.h"
#include "simd.h"

namespace moproc::data {

inline constexpr int half_bits = weight_bits / 2;
inline constexpr int half_mask = (1 << half_bits) - 1;
inline constexpr int half_of_one = 1 << (weight_bits - 1);  // makes the final shift round

// Pack the weights of two neighbouring taps into one word: their upper halves, or their lower halves.
inline std::int32_t pair_upper(std::int32_t a, std::int32_t b) { return (a >> half_bits) | (b >> half_bits) << 16; }
inline std::int32_t pair_lower(std::int32_t a, std::int32_t b) { return (a & half_mask) | (b & half_mask) << 16; }

#if MOPROC_X86

// For every output pixel and 4 taps, 16 words: upper pairs (taps 0 1 four times, 2 3 four times), then lower pairs.
void pack_weights(const Weights& w, std::vector<std::int32_t>& packed);

// The CPU must have AVX2.
void across_avx2(const Image& in, const Box& box, const Weights& w, const std::int32_t* packed, Image& out);
void down_avx2(const Image& in, const Weights& w, Image& out);

// The CPU must have AVX-512 (F, BW and VNNI).
void across_avx512(const Image& in, const Box& box, const Weights& w, const std::int32_t* packed, Image& out);
void down_avx512(const Image& in, const Weights& w, Image& out);

#endif

}  // namespace moproc::data
