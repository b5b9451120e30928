// The hue of hue.cc for 16 pixels at a time. Every rounding is that of the reference form there; masks take the place
// of blends. Surprising: a division by 6 or 255 is a product with the reciprocal, which gives the same bits for all
// values that occur (the test compares all colours).
#include "hue_forms.h"

#if MOPROC_X86

#include <immintrin.h>

namespace moproc::data {
namespace {

#define MOPROC_AVX512 __attribute__((target("avx512f,avx512dq"), always_inline)) inline

// 16 doubles, for the reference's expressions of mixed precision.
struct Wide {
  __m512d low, high;
};

// HSV of 16 pixels in registers, 32 bits per value.
struct Planes {
  __m512i h, s, v;
};

MOPROC_AVX512 Wide widen(__m512 x) {
  return {_mm512_cvtps_pd(_mm512_castps512_ps256(x)), _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1))};
}
MOPROC_AVX512 Wide widen(__m512i x) {
  return {_mm512_cvtepi32_pd(_mm512_castsi512_si256(x)), _mm512_cvtepi32_pd(_mm512_extracti32x8_epi32(x, 1))};
}
MOPROC_AVX512 Wide all(double x) { return {_mm512_set1_pd(x), _mm512_set1_pd(x)}; }
MOPROC_AVX512 Wide operator+(Wide a, Wide b) { return {_mm512_add_pd(a.low, b.low), _mm512_add_pd(a.high, b.high)}; }
MOPROC_AVX512 Wide operator-(Wide a, Wide b) { return {_mm512_sub_pd(a.low, b.low), _mm512_sub_pd(a.high, b.high)}; }
MOPROC_AVX512 Wide operator*(Wide a, Wide b) { return {_mm512_mul_pd(a.low, b.low), _mm512_mul_pd(a.high, b.high)}; }
MOPROC_AVX512 __m512 narrow(Wide x) {
  return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(x.low)), _mm512_cvtpd_ps(x.high), 1);
}
MOPROC_AVX512 __m512i truncate(Wide x) {
  const __m256i low = _mm512_cvttpd_epi32(x.low), high = _mm512_cvttpd_epi32(x.high);
  return _mm512_inserti32x8(_mm512_castsi256_si512(low), high, 1);
}
// x if x < 1, otherwise x - 1 (fmod(x, 1) for 0 <= x < 2).
MOPROC_AVX512 __m512d wrap(__m512d x) {
  const __m512d one = _mm512_set1_pd(1.0);
  return _mm512_mask_sub_pd(x, _mm512_cmp_pd_mask(x, one, _CMP_GE_OQ), x, one);
}
MOPROC_AVX512 __mmask16 is(__m512i x, int value) { return _mm512_cmpeq_epi32_mask(x, _mm512_set1_epi32(value)); }
MOPROC_AVX512 __m512i choose(__mmask16 mask, __m512i yes, __m512i no) { return _mm512_mask_mov_epi32(no, mask, yes); }

// The HSV of 16 pixels, with `turn` added to the hue.
MOPROC_AVX512 Planes split(__m512i p, __m512i turn) {
  const __m512i byte = _mm512_set1_epi32(255), one = _mm512_set1_epi32(1);
  const __m512 unit = _mm512_set1_ps(1.0f);
  const __m512i r = _mm512_and_si512(p, byte);
  const __m512i g = _mm512_and_si512(_mm512_srli_epi32(p, 8), byte);
  const __m512i b = _mm512_and_si512(_mm512_srli_epi32(p, 16), byte);
  const __m512i high = _mm512_max_epi32(r, _mm512_max_epi32(g, b));
  const __m512i low = _mm512_min_epi32(r, _mm512_min_epi32(g, b));
  const __m512i middle = _mm512_max_epi32(_mm512_min_epi32(r, g), _mm512_min_epi32(_mm512_max_epi32(r, g), b));
  const __m512i range = _mm512_sub_epi32(high, low);
  const __mmask16 red_leads = _mm512_cmpeq_epi32_mask(r, high), green_leads = _mm512_cmpeq_epi32_mask(g, high);
  const __m512i add = choose(red_leads, b, choose(green_leads, r, g));
  const __m512i take = choose(red_leads, g, choose(green_leads, b, r));
  __m512 base = _mm512_mask_mov_ps(_mm512_set1_ps(4.0f), green_leads, _mm512_set1_ps(2.0f));
  base = _mm512_mask_mov_ps(base, red_leads, _mm512_setzero_ps());
  // Of the two channels that do not lead, one is the lowest, and its quotient is range / range; so one division is
  // enough. Grey (range 0): h becomes 0 below.
  const __m512 divisor = _mm512_cvtepi32_ps(_mm512_max_epi32(range, one));
  const __m512 part = _mm512_div_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(high, middle)), divisor);
  const __m512 plus = _mm512_mask_mov_ps(part, _mm512_cmpeq_epi32_mask(add, low), unit);
  const __m512 minus = _mm512_mask_mov_ps(part, _mm512_cmpeq_epi32_mask(take, low), unit);
  const __m512 s = _mm512_div_ps(_mm512_cvtepi32_ps(range), _mm512_cvtepi32_ps(_mm512_max_epi32(high, one)));
  const __m512 sector = narrow(widen(base) + widen(plus) - widen(minus));
  Wide turned = widen(sector) * all(1 / 6.0) + all(1.0);
  turned = {wrap(turned.low), wrap(turned.high)};
  const __mmask16 coloured = _mm512_test_epi32_mask(range, range);
  const __m512i h = _mm512_maskz_mov_epi32(coloured, truncate(widen(narrow(turned)) * all(255.0)));
  return {_mm512_and_si512(_mm512_add_epi32(h, turn), byte), truncate(widen(s) * all(255.0)), high};
}

// Converts back to RGB. A channel is v, p or m, which rises or falls with the parity of the sector.
MOPROC_AVX512 __m512i join(const Planes& in) {
  const __m512i h6 = _mm512_add_epi32(_mm512_slli_epi32(in.h, 2), _mm512_slli_epi32(in.h, 1));
  // h * 6 / 255
  __m512i k = _mm512_add_epi32(h6, _mm512_add_epi32(_mm512_srli_epi32(h6, 8), _mm512_set1_epi32(1)));
  k = _mm512_srli_epi32(k, 8);
  const __m512 f = narrow(widen(h6) * all(1 / 255.0) - widen(k));
  const __m512 fs = narrow(widen(in.s) * all(1 / 255.0));
  const __mmask16 k1 = is(k, 1), k2 = is(k, 2), k3 = is(k, 3), k4 = is(k, 4), k5 = is(k, 5);
  const __mmask16 k0 = static_cast<__mmask16>(is(k, 0) | is(k, 6));  // hue 255 is the same as hue 0
  const auto odd = static_cast<__mmask16>(k1 | k3 | k5);
  const Wide falling = widen(_mm512_mul_ps(fs, f));
  const Wide wide = widen(fs), rising = wide * (all(1.0) - widen(f));
  const Wide share = {_mm512_mask_mov_pd(rising.low, static_cast<__mmask8>(odd), falling.low),
                      _mm512_mask_mov_pd(rising.high, static_cast<__mmask8>(odd >> 8), falling.high)};
  const Wide v = widen(in.v);
  const __m512i p = truncate(v * (all(1.0) - wide) + all(0.5));
  const __m512i m = truncate(v * (all(1.0) - share) + all(0.5));
  const auto either = [](__mmask16 a, __mmask16 b) { return static_cast<__mmask16>(a | b); };
  const __m512i r = choose(either(k0, k5), in.v, choose(either(k1, k4), m, p));
  const __m512i g = choose(either(k1, k2), in.v, choose(either(k0, k3), m, p));
  const __m512i b = choose(either(k3, k4), in.v, choose(either(k2, k5), m, p));
  return _mm512_or_si512(r, _mm512_or_si512(_mm512_slli_epi32(g, 8), _mm512_slli_epi32(b, 16)));
}

}  // namespace

__attribute__((target("avx512f,avx512dq"))) void turn_avx512(std::uint32_t* pixels, std::size_t count, int turn) {
  const __m512i by = _mm512_set1_epi32(turn);
  for (std::size_t i = 0; i < count; i += 16) {
    const auto there = static_cast<__mmask16>(count - i < 16 ? (1u << (count - i)) - 1 : 0xffffu);
    const __m512i p = _mm512_maskz_loadu_epi32(there, pixels + i);
    _mm512_mask_storeu_epi32(pixels + i, there, join(split(p, by)));
  }
}

}  // namespace moproc::data

#endif
