// Brightness, contrast, saturation, grey. Loops treat a pixel as one 32-bit lane, which the compiler vectorises. To
// round like Pillow, they use single precision, no fused multiply-add, and truncation at the end.
#include "color.h"

#include <array>

#include "simd.h"

#if MOPROC_X86
#include <immintrin.h>
#endif

namespace moproc::data {
namespace {

inline int luma(std::uint32_t p) { return (red(p) * 19595 + green(p) * 38470 + blue(p) * 7471 + 0x8000) >> 16; }

// from + factor * (to - from), clipped to 0..255 and truncated; factor may be outside 0..1.
inline int blend(int from, int to, float factor) {
  const float mixed = static_cast<float>(from) + factor * static_cast<float>(to - from);
  const float bounded = mixed < 0.0f ? 0.0f : mixed > 255.0f ? 255.0f : mixed;
  return static_cast<int>(bounded);
}

MOPROC_CLONES void blend_with_constant(std::uint32_t* pixels, std::size_t count, int constant, float factor) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t p = pixels[i];
    pixels[i] =
        pixel(blend(constant, red(p), factor), blend(constant, green(p), factor), blend(constant, blue(p), factor));
  }
}

#if MOPROC_X86

// Replaces every channel c of the pixels by table[c].
__attribute__((target("avx512vbmi,avx512bw"))) void look_up(std::uint32_t* pixels, std::size_t count,
                                                            const std::array<std::uint8_t, 256>& table) {
  const __m512i t0 = _mm512_loadu_si512(table.data()), t1 = _mm512_loadu_si512(table.data() + 64);
  const __m512i t2 = _mm512_loadu_si512(table.data() + 128), t3 = _mm512_loadu_si512(table.data() + 192);
  const __m512i channels = _mm512_set1_epi32(0xffffff);
  for (std::size_t i = 0; i < count; i += 16) {
    const __mmask16 there = static_cast<__mmask16>(count - i < 16 ? (1u << (count - i)) - 1 : 0xffffu);
    const __m512i p = _mm512_maskz_loadu_epi32(there, pixels + i);
    const __m512i below = _mm512_permutex2var_epi8(t0, p, t1), above = _mm512_permutex2var_epi8(t2, p, t3);
    const __m512i found = _mm512_mask_blend_epi8(_mm512_movepi8_mask(p), below, above);
    _mm512_mask_storeu_epi32(pixels + i, there, _mm512_and_si512(found, channels));
  }
}

#endif

// The blend of a channel with a constant depends on 256 values only, so a table is enough where one instruction reads
// it.
void blend_all(Image& image, int constant, float factor) {
#if MOPROC_X86
  if (__builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512bw")) {
    std::array<std::uint8_t, 256> table;
    for (int c = 0; c < 256; ++c)
      table[static_cast<std::size_t>(c)] = static_cast<std::uint8_t>(blend(constant, c, factor));
    return look_up(image.data(), image.count(), table);
  }
#endif
  blend_with_constant(image.data(), image.count(), constant, factor);
}

MOPROC_CLONES void blend_with_luma(std::uint32_t* pixels, std::size_t count, float factor) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t p = pixels[i];
    const int grey = luma(p);
    pixels[i] = pixel(blend(grey, red(p), factor), blend(grey, green(p), factor), blend(grey, blue(p), factor));
  }
}

MOPROC_CLONES void to_luma(std::uint32_t* pixels, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const int grey = luma(pixels[i]);
    pixels[i] = pixel(grey, grey, grey);
  }
}

MOPROC_CLONES std::uint32_t sum_luma(const std::uint32_t* pixels, std::size_t count) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += static_cast<std::uint32_t>(luma(pixels[i]));
  return sum;
}

int mean_luma(const Image& image) {
  constexpr std::size_t block = 1 << 20;  // a sum of this many values of 255 fits 32 bits
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < image.count(); i += block) {
    const std::size_t left = image.count() - i;
    sum += sum_luma(image.data() + i, left < block ? left : block);
  }
  return static_cast<int>(static_cast<double>(sum) / static_cast<double>(image.count()) + 0.5);
}

}  // namespace

void grayscale(Image& image) { to_luma(image.data(), image.count()); }

void brightness(Image& image, float factor) { blend_all(image, 0, factor); }

void contrast(Image& image, float factor) { blend_all(image, mean_luma(image), factor); }

void saturation(Image& image, float factor) { blend_with_luma(image.data(), image.count(), factor); }

}  // namespace moproc::data
