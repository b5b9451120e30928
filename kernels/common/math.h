// exp, log, tanh and sigmoid of a Vec, within 2 units in the last place of the exact value over all of f32. The CPU and
// CUDA compile this one text, and every operation rounds the same way on AVX2, AVX-512 and a GPU, so all give the same
// bits. On a GPU exp costs about 20 instructions per element.
//
// Included by cpu/math.hpp and cuda/math.cuh, which define MOPROC_INLINE, Vec, Mask and their operations,
// float_of(bits) and math::split before.
#pragma once

namespace moproc {

namespace math {

// ln 2 in two parts: products of the first with integers below 2^7 are exact.
constexpr float ln2_hi = 0x1.62e4p-1f, ln2_lo = 0x1.7f7d1cp-20f, log2_e = 0x1.715476p+0f;

/// x = n ln 2 + r with |r| <= ln(2)/2, and q = (exp(r) - 1 - r) / r^2.
struct Reduced {
  Vec n, r, q;
};
MOPROC_INLINE Reduced reduce_exp(Vec x) {
  const Vec n = round(x * Vec(log2_e));
  const Vec r = fma(n, Vec(-ln2_lo), fma(n, Vec(-ln2_hi), x));
  Vec q = fma(Vec(1.0f / 40320), r, Vec(1.0f / 5040));  // the exponential series; the next term is below 2^-30
  q = fma(q, r, Vec(1.0f / 720));
  q = fma(q, r, Vec(1.0f / 120));
  q = fma(q, r, Vec(1.0f / 24));
  q = fma(q, r, Vec(1.0f / 6));
  q = fma(q, r, Vec(0.5f));
  return {n, r, q};
}

/// a / (b + c) for b >= |c|, rounded nearly once, because the rounding errors of the sum and of the quotient are
/// corrected.
MOPROC_INLINE Vec divide_by_sum(Vec a, Vec b, Vec c) {
  const Vec s = b + c, lost = c - (s - b), y = a / s;
  return y + (fma(-y, s, a) - y * lost) / s;
}

}  // namespace math

/// e^x: 0 below -104, infinity above 88.73, gradual underflow between, NaN for NaN.
MOPROC_INLINE Vec exp(Vec x) {
  const Vec inside = min(Vec(89.0f), max(Vec(-104.0f), x));  // in this operand order NaN passes
  const math::Reduced d = math::reduce_exp(inside);
  return scale2(Vec(1.0f) + fma(d.q, d.r * d.r, d.r), d.n);
}

/// Natural logarithm: -infinity for 0 of either sign, NaN below 0, exact handling of denormals.
MOPROC_INLINE Vec log(Vec x) {
  const Mask tiny = Vec(0x1p-126f) > x;
  const math::Split d = math::split(select(tiny, x * Vec(0x1p24f), x));
  const Vec e = d.e - select(tiny, Vec(24.0f), Vec(0.0f));
  const Vec f = d.m - Vec(1.0f);                 // exact
  const Vec s = f / (Vec(2.0f) + f), z = s * s;  // log(1 + f) = 2 atanh(s) = f - f^2/2 + s (f^2/2 + series)
  Vec series = fma(z, Vec(2.0f / 9), Vec(2.0f / 7));
  series = fma(series, z, Vec(2.0f / 5));
  series = fma(series, z, Vec(2.0f / 3)) * z;
  const Vec half = Vec(0.5f) * f * f;
  const Vec low = fma(e, Vec(math::ln2_lo), s * (half + series));
  const Vec y = fma(e, Vec(math::ln2_hi), f - (half - low));
  const Vec infinity(float_of(0x7f800000u));
  Vec result = select(x == infinity, infinity, y);
  result = select(x == Vec(0.0f), -infinity, result);
  result = select(Vec(0.0f) > x, Vec(float_of(0x7fc00000u)), result);
  return select(x == x, result, x);
}

/// Hyperbolic tangent, odd in every bit.
MOPROC_INLINE Vec tanh(Vec x) {
  const Vec a = abs(x);
  const math::Reduced d = math::reduce_exp(min(Vec(20.0f), a + a));
  const Vec two_n = scale2(Vec(1.0f), d.n);
  const Vec expm1 = fma(two_n, fma(d.q, d.r * d.r, d.r), two_n - Vec(1.0f));  // exp(2 |x|) - 1
  const Mask large = expm1 > Vec(2.0f);
  const Vec quotient = math::divide_by_sum(expm1, select(large, expm1, Vec(2.0f)), select(large, Vec(2.0f), expm1));
  const Vec y = select(a > Vec(9.1f), Vec(1.0f), quotient);
  return select(x == x, select(Vec(0.0f) > x, -y, select(x == Vec(0.0f), x, y)), x);
}

/// 1 / (1 + e^-x), with full relative precision on the negative side.
MOPROC_INLINE Vec sigmoid(Vec x) {
  const Vec e = exp(-abs(x));
  return math::divide_by_sum(select(Vec(0.0f) > x, e, Vec(1.0f)), Vec(1.0f), e);
}

}  // namespace moproc
