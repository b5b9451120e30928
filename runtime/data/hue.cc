// Hue: converts RGB to 8-bit HSV, changes the hue and converts back, with exactly the single and double precision steps
// of Pillow's conversion. Surprising: the fast loop must keep every float/double rounding of the reference form below,
// because results are truncated and some fall exactly on an integer. A test compares both on all 2^24 colours.
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "color.h"
#include "hue_forms.h"

#if MOPROC_X86
#include <immintrin.h>
#endif

namespace moproc::data {
namespace {

int clip8(int value) { return std::clamp(value, 0, 255); }

#if MOPROC_X86

// 8 doubles, for the reference's expressions of mixed precision.
struct Wide {
  __m256d low, high;
};

// HSV of 8 pixels in registers, 32 bits per value.
struct Planes {
  __m256i h, s, v;
};

#define MOPROC_AVX2 __attribute__((target("avx2"), always_inline)) inline

MOPROC_AVX2 Wide widen(__m256 x) {
  return {_mm256_cvtps_pd(_mm256_castps256_ps128(x)), _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1))};
}
MOPROC_AVX2 Wide widen(__m256i x) {
  return {_mm256_cvtepi32_pd(_mm256_castsi256_si128(x)), _mm256_cvtepi32_pd(_mm256_extracti128_si256(x, 1))};
}
MOPROC_AVX2 Wide all(double x) { return {_mm256_set1_pd(x), _mm256_set1_pd(x)}; }
MOPROC_AVX2 Wide operator+(Wide a, Wide b) { return {_mm256_add_pd(a.low, b.low), _mm256_add_pd(a.high, b.high)}; }
MOPROC_AVX2 Wide operator-(Wide a, Wide b) { return {_mm256_sub_pd(a.low, b.low), _mm256_sub_pd(a.high, b.high)}; }
MOPROC_AVX2 Wide operator*(Wide a, Wide b) { return {_mm256_mul_pd(a.low, b.low), _mm256_mul_pd(a.high, b.high)}; }
MOPROC_AVX2 Wide operator/(Wide a, Wide b) { return {_mm256_div_pd(a.low, b.low), _mm256_div_pd(a.high, b.high)}; }
MOPROC_AVX2 __m256 narrow(Wide x) { return _mm256_set_m128(_mm256_cvtpd_ps(x.high), _mm256_cvtpd_ps(x.low)); }
MOPROC_AVX2 __m256i truncate(Wide x) {
  return _mm256_set_m128i(_mm256_cvttpd_epi32(x.high), _mm256_cvttpd_epi32(x.low));
}
// x if x < 1, otherwise x - 1 (fmod(x, 1) for 0 <= x < 2).
MOPROC_AVX2 __m256d wrap(__m256d x) {
  const __m256d one = _mm256_set1_pd(1.0);
  return _mm256_sub_pd(x, _mm256_and_pd(one, _mm256_cmp_pd(x, one, _CMP_GE_OQ)));
}
MOPROC_AVX2 __m256 to_float(__m256i x) { return _mm256_cvtepi32_ps(x); }
MOPROC_AVX2 __m256i choose(__m256i mask, __m256i yes, __m256i no) { return _mm256_blendv_epi8(no, yes, mask); }
MOPROC_AVX2 __m256 choose(__m256i mask, __m256 yes, __m256 no) {
  return _mm256_blendv_ps(no, yes, _mm256_castsi256_ps(mask));
}

MOPROC_AVX2 __m256i is(__m256i x, int value) { return _mm256_cmpeq_epi32(x, _mm256_set1_epi32(value)); }

// The HSV of 8 pixels, with `turn` added to the hue.
MOPROC_AVX2 Planes split(__m256i p, __m256i turn) {
  const __m256i byte = _mm256_set1_epi32(255), one = _mm256_set1_epi32(1), zero = _mm256_setzero_si256();
  const __m256i r = _mm256_and_si256(p, byte);
  const __m256i g = _mm256_and_si256(_mm256_srli_epi32(p, 8), byte);
  const __m256i b = _mm256_and_si256(_mm256_srli_epi32(p, 16), byte);
  const __m256i high = _mm256_max_epi32(r, _mm256_max_epi32(g, b));
  const __m256i range = _mm256_sub_epi32(high, _mm256_min_epi32(r, _mm256_min_epi32(g, b)));
  const __m256i red_leads = _mm256_cmpeq_epi32(r, high), green_leads = _mm256_cmpeq_epi32(g, high);
  const __m256i add = choose(red_leads, b, choose(green_leads, r, g));
  const __m256i take = choose(red_leads, g, choose(green_leads, b, r));
  const __m256 base =
      choose(red_leads, _mm256_setzero_ps(), choose(green_leads, _mm256_set1_ps(2.0f), _mm256_set1_ps(4.0f)));
  // Of the two channels that do not lead, one is the lowest, and its quotient is range / range; so one division is
  // enough.
  const __m256 divisor = to_float(_mm256_max_epi32(range, one));  // grey (range 0): h becomes 0 below
  const __m256i low = _mm256_sub_epi32(high, range);
  const __m256i middle = _mm256_max_epi32(_mm256_min_epi32(r, g), _mm256_min_epi32(_mm256_max_epi32(r, g), b));
  const __m256 part = _mm256_div_ps(to_float(_mm256_sub_epi32(high, middle)), divisor);
  const __m256 plus = choose(_mm256_cmpeq_epi32(add, low), _mm256_set1_ps(1.0f), part);
  const __m256 minus = choose(_mm256_cmpeq_epi32(take, low), _mm256_set1_ps(1.0f), part);
  const __m256 s = _mm256_div_ps(to_float(range), to_float(_mm256_max_epi32(high, one)));
  const __m256 sector = narrow(widen(base) + widen(plus) - widen(minus));
  Wide turned = widen(sector) * all(1 / 6.0) + all(1.0);
  turned = {wrap(turned.low), wrap(turned.high)};
  const __m256i h = truncate(widen(narrow(turned)) * all(255.0));
  const __m256i coloured = _mm256_cmpgt_epi32(range, zero);
  return {_mm256_and_si256(_mm256_add_epi32(_mm256_and_si256(h, coloured), turn), byte),
          truncate(widen(s) * all(255.0)), high};
}

// Converts back to RGB. A channel is v, p or m, which rises or falls with the parity of the sector.
MOPROC_AVX2 __m256i join(const Planes& in) {
  const __m256i h6 = _mm256_mullo_epi32(in.h, _mm256_set1_epi32(6));
  __m256i k = _mm256_srli_epi32(_mm256_mullo_epi32(h6, _mm256_set1_epi32(32897)), 23);  // h * 6 / 255
  const __m256 f = narrow(widen(h6) * all(1 / 255.0) - widen(k));
  const __m256 fs = narrow(widen(in.s) * all(1 / 255.0));
  k = _mm256_andnot_si256(is(k, 6), k);  // hue 255 is the same as hue 0
  const __m256i odd = is(_mm256_and_si256(k, _mm256_set1_epi32(1)), 1);
  const Wide falling = widen(_mm256_mul_ps(fs, f));
  const Wide rising = widen(fs) * (all(1.0) - widen(f));
  const __m256d odd_low = _mm256_castsi256_pd(_mm256_cvtepi32_epi64(_mm256_castsi256_si128(odd)));
  const __m256d odd_high = _mm256_castsi256_pd(_mm256_cvtepi32_epi64(_mm256_extracti128_si256(odd, 1)));
  const Wide share = {_mm256_blendv_pd(rising.low, falling.low, odd_low),
                      _mm256_blendv_pd(rising.high, falling.high, odd_high)};
  const Wide v = widen(in.v);
  const __m256i p = truncate(v * (all(1.0) - widen(fs)) + all(0.5));
  const __m256i m = truncate(v * (all(1.0) - share) + all(0.5));
  const __m256i k0 = is(k, 0), k1 = is(k, 1), k2 = is(k, 2), k3 = is(k, 3), k4 = is(k, 4), k5 = is(k, 5);
  const __m256i r = choose(_mm256_or_si256(k0, k5), in.v, choose(_mm256_or_si256(k1, k4), m, p));
  const __m256i g = choose(_mm256_or_si256(k1, k2), in.v, choose(_mm256_or_si256(k0, k3), m, p));
  const __m256i b = choose(_mm256_or_si256(k3, k4), in.v, choose(_mm256_or_si256(k2, k5), m, p));
  return _mm256_or_si256(r, _mm256_or_si256(_mm256_slli_epi32(g, 8), _mm256_slli_epi32(b, 16)));
}

#endif

}  // namespace

#if MOPROC_X86

__attribute__((target("avx2"))) void turn_avx2(std::uint32_t* pixels, std::size_t count, int turn) {
  const __m256i by = _mm256_set1_epi32(turn);
  for (std::size_t i = 0; i < count; i += 8) {
    auto* at = reinterpret_cast<__m256i*>(pixels + i);
    _mm256_storeu_si256(at, join(split(_mm256_loadu_si256(at), by)));
  }
}

#endif

std::uint32_t rgb_to_hsv(std::uint32_t rgb) {
  const int r = red(rgb), g = green(rgb), b = blue(rgb);
  const int high = std::max({r, g, b}), low = std::min({r, g, b});
  if (high == low) return pixel(0, 0, high);
  const float range = static_cast<float>(high - low);
  const float s = range / static_cast<float>(high);
  const float rc = static_cast<float>(high - r) / range;
  const float gc = static_cast<float>(high - g) / range;
  const float bc = static_cast<float>(high - b) / range;
  float h;
  if (r == high) {
    h = bc - gc;
  } else if (g == high) {
    h = static_cast<float>(2.0 + rc - bc);
  } else {
    h = static_cast<float>(4.0 + gc - rc);
  }
  h = static_cast<float>(std::fmod(h / 6.0 + 1.0, 1.0));
  return pixel(clip8(static_cast<int>(h * 255.0)), clip8(static_cast<int>(s * 255.0)), high);
}

std::uint32_t hsv_to_rgb(std::uint32_t hsv) {
  const int h = red(hsv), s = green(hsv), v = blue(hsv);
  if (s == 0) return pixel(v, v, v);
  const int sector = static_cast<int>(std::floor(static_cast<float>(h) * 6.0 / 255.0));
  const float f = static_cast<float>(static_cast<float>(h) * 6.0 / 255.0 - static_cast<float>(sector));
  const float fs = static_cast<float>(static_cast<float>(s) / 255.0);
  const int p = clip8(static_cast<int>(std::round(static_cast<float>(v) * (1.0 - fs))));
  const int q = clip8(static_cast<int>(std::round(static_cast<float>(v) * (1.0 - fs * f))));
  const int t = clip8(static_cast<int>(std::round(static_cast<float>(v) * (1.0 - fs * (1.0 - f)))));
  switch (sector % 6) {
    case 0: return pixel(v, t, p);
    case 1: return pixel(q, v, p);
    case 2: return pixel(p, v, t);
    case 3: return pixel(p, q, v);
    case 4: return pixel(t, p, v);
    default: return pixel(v, p, q);
  }
}

void hue(Image& image, double factor) {
  const int turn = static_cast<int>(factor * 255) & 255;
#if MOPROC_X86
  if (has_avx512()) return turn_avx512(image.data(), image.count(), turn);
  if (has_avx2()) return turn_avx2(image.data(), image.count(), turn);
#endif
  for (std::size_t i = 0; i < image.count(); ++i) {
    const std::uint32_t hsv = rgb_to_hsv(image.data()[i]);
    image.data()[i] = hsv_to_rgb(pixel((red(hsv) + turn) & 255, green(hsv), blue(hsv)));
  }
}

}  // namespace moproc::data
