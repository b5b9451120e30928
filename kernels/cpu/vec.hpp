// One SIMD register of f32: AVX-512 or AVX2, by the flags that this file is compiled with. Kernels are written once
// against Vec. Every operation is explicit (no contraction), so both widths give the same bits. Everything is
// force-inlined, because a kernel compiled for a newer CPU must not define a symbol that other objects share.
#pragma once

#include <immintrin.h>

#include "common/sizes.h"

#define MOPROC_INLINE inline __attribute__((always_inline))

namespace moproc {

#if defined(__AVX512F__)

struct Vec {
  static constexpr int width = 16;
  static constexpr int registers = 32;
  __m512 r;
  MOPROC_INLINE Vec() : r(_mm512_setzero_ps()) {}
  MOPROC_INLINE Vec(__m512 x) : r(x) {}
  MOPROC_INLINE Vec(float x) : r(_mm512_set1_ps(x)) {}
};
struct Mask {
  __mmask16 m;
};

MOPROC_INLINE __mmask16 lane_mask(int lanes) { return static_cast<__mmask16>((1u << lanes) - 1u); }
MOPROC_INLINE Vec load(const float* p) { return _mm512_loadu_ps(p); }
MOPROC_INLINE Vec load(const float* p, int lanes) {
  return lanes == 16 ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(lane_mask(lanes), p);
}
MOPROC_INLINE void store(float* p, Vec x) { _mm512_storeu_ps(p, x.r); }
MOPROC_INLINE void store(float* p, Vec x, int lanes) {
  if (lanes == 16) _mm512_storeu_ps(p, x.r);
  else _mm512_mask_storeu_ps(p, lane_mask(lanes), x.r);
}
MOPROC_INLINE Vec operator+(Vec a, Vec b) { return _mm512_add_ps(a.r, b.r); }
MOPROC_INLINE Vec operator-(Vec a, Vec b) { return _mm512_sub_ps(a.r, b.r); }
MOPROC_INLINE Vec operator*(Vec a, Vec b) { return _mm512_mul_ps(a.r, b.r); }
MOPROC_INLINE Vec operator/(Vec a, Vec b) { return _mm512_div_ps(a.r, b.r); }
MOPROC_INLINE Vec operator-(Vec a) { return _mm512_xor_ps(a.r, _mm512_set1_ps(-0.0f)); }
MOPROC_INLINE Vec fma(Vec a, Vec b, Vec c) { return _mm512_fmadd_ps(a.r, b.r, c.r); }
MOPROC_INLINE Vec max(Vec a, Vec b) { return _mm512_max_ps(a.r, b.r); }  // the second operand if either is NaN
MOPROC_INLINE Vec min(Vec a, Vec b) { return _mm512_min_ps(a.r, b.r); }
MOPROC_INLINE Vec sqrt(Vec a) { return _mm512_sqrt_ps(a.r); }
MOPROC_INLINE Vec abs(Vec a) { return _mm512_abs_ps(a.r); }
MOPROC_INLINE Vec round(Vec a) { return _mm512_roundscale_ps(a.r, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
MOPROC_INLINE Mask operator>(Vec a, Vec b) { return {_mm512_cmp_ps_mask(a.r, b.r, _CMP_GT_OQ)}; }
MOPROC_INLINE Mask operator==(Vec a, Vec b) { return {_mm512_cmp_ps_mask(a.r, b.r, _CMP_EQ_OQ)}; }
MOPROC_INLINE Mask operator&(Mask a, Mask b) { return {static_cast<__mmask16>(a.m & b.m)}; }
MOPROC_INLINE Mask operator|(Mask a, Mask b) { return {static_cast<__mmask16>(a.m | b.m)}; }
MOPROC_INLINE Mask operator!(Mask a) { return {static_cast<__mmask16>(~a.m)}; }
MOPROC_INLINE Vec select(Mask m, Vec yes, Vec no) { return _mm512_mask_blend_ps(m.m, no.r, yes.r); }
/// x * 2^n for integral-valued n, saturating to 0 and infinity.
MOPROC_INLINE Vec scale2(Vec x, Vec n) { return _mm512_scalef_ps(x.r, n.r); }
MOPROC_INLINE Vec load_u8(const uint8_t* p, int lanes) {
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(lane_mask(lanes), p)));
}

#elif defined(__AVX2__) && defined(__FMA__)

struct Vec {
  static constexpr int width = 8;
  static constexpr int registers = 16;
  __m256 r;
  MOPROC_INLINE Vec() : r(_mm256_setzero_ps()) {}
  MOPROC_INLINE Vec(__m256 x) : r(x) {}
  MOPROC_INLINE Vec(float x) : r(_mm256_set1_ps(x)) {}
};
struct Mask {
  __m256 m;
};

MOPROC_INLINE __m256i lane_mask(int lanes) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(lanes), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
MOPROC_INLINE Vec load(const float* p) { return _mm256_loadu_ps(p); }
MOPROC_INLINE Vec load(const float* p, int lanes) {
  return lanes == 8 ? _mm256_loadu_ps(p) : _mm256_maskload_ps(p, lane_mask(lanes));
}
MOPROC_INLINE void store(float* p, Vec x) { _mm256_storeu_ps(p, x.r); }
MOPROC_INLINE void store(float* p, Vec x, int lanes) {
  if (lanes == 8) _mm256_storeu_ps(p, x.r);
  else _mm256_maskstore_ps(p, lane_mask(lanes), x.r);
}
MOPROC_INLINE Vec operator+(Vec a, Vec b) { return _mm256_add_ps(a.r, b.r); }
MOPROC_INLINE Vec operator-(Vec a, Vec b) { return _mm256_sub_ps(a.r, b.r); }
MOPROC_INLINE Vec operator*(Vec a, Vec b) { return _mm256_mul_ps(a.r, b.r); }
MOPROC_INLINE Vec operator/(Vec a, Vec b) { return _mm256_div_ps(a.r, b.r); }
MOPROC_INLINE Vec operator-(Vec a) { return _mm256_xor_ps(a.r, _mm256_set1_ps(-0.0f)); }
MOPROC_INLINE Vec fma(Vec a, Vec b, Vec c) { return _mm256_fmadd_ps(a.r, b.r, c.r); }
MOPROC_INLINE Vec max(Vec a, Vec b) { return _mm256_max_ps(a.r, b.r); }
MOPROC_INLINE Vec min(Vec a, Vec b) { return _mm256_min_ps(a.r, b.r); }
MOPROC_INLINE Vec sqrt(Vec a) { return _mm256_sqrt_ps(a.r); }
MOPROC_INLINE Vec abs(Vec a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.r); }
MOPROC_INLINE Vec round(Vec a) { return _mm256_round_ps(a.r, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
MOPROC_INLINE Mask operator>(Vec a, Vec b) { return {_mm256_cmp_ps(a.r, b.r, _CMP_GT_OQ)}; }
MOPROC_INLINE Mask operator==(Vec a, Vec b) { return {_mm256_cmp_ps(a.r, b.r, _CMP_EQ_OQ)}; }
MOPROC_INLINE Mask operator&(Mask a, Mask b) { return {_mm256_and_ps(a.m, b.m)}; }
MOPROC_INLINE Mask operator|(Mask a, Mask b) { return {_mm256_or_ps(a.m, b.m)}; }
MOPROC_INLINE Mask operator!(Mask a) { return {_mm256_xor_ps(a.m, _mm256_castsi256_ps(_mm256_set1_epi32(-1)))}; }
MOPROC_INLINE Vec select(Mask m, Vec yes, Vec no) { return _mm256_blendv_ps(no.r, yes.r, m.m); }
/// x * 2^n for integral-valued n, in two half steps, so that results can be denormal.
MOPROC_INLINE Vec scale2(Vec x, Vec n) {
  const __m256 clamped = _mm256_max_ps(_mm256_min_ps(n.r, _mm256_set1_ps(254.0f)), _mm256_set1_ps(-252.0f));
  const __m256i i = _mm256_cvtps_epi32(clamped), half = _mm256_srai_epi32(i, 1), rest = _mm256_sub_epi32(i, half);
  const __m256i bias = _mm256_set1_epi32(127);
  const __m256 f = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
  const __m256 g = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
  return _mm256_mul_ps(_mm256_mul_ps(x.r, f), g);
}
MOPROC_INLINE Vec load_u8(const uint8_t* p, int lanes) {
  alignas(16) uint8_t b[16] = {};
  for (int i = 0; i < lanes; ++i) b[i] = p[i];
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_load_si128(reinterpret_cast<const __m128i*>(b))));
}

#else
#error "moproc CPU kernels need AVX2 and FMA (-march=x86-64-v3) or AVX-512 (-march=x86-64-v4)"
#endif

/// The float with these bits.
MOPROC_INLINE float float_of(uint32_t bits) { return __builtin_bit_cast(float, bits); }

/// Sum of the lanes in the order of a balanced tree. Both register widths give the same bits if the upper eight lanes
/// are first added to the lower eight.
MOPROC_INLINE float sum_lanes(Vec a) {
  alignas(64) float x[Vec::width];
  store(x, a);
  for (int step = Vec::width / 2; step > 0; step /= 2)
    for (int i = 0; i < step; ++i) x[i] += x[i + step];
  return x[0];
}
MOPROC_INLINE float max_lanes(Vec a) {
  alignas(64) float x[Vec::width];
  store(x, a);
  float m = x[0];
  for (int i = 1; i < Vec::width; ++i) m = x[i] > m ? x[i] : m;
  return m;
}

}  // namespace moproc
