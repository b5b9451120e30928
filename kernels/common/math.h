// exp, log, tanh, sigmoid and erf of a Vec, within 2 units in the last place of the exact value over all of f32, and
// exact functions for expressions (compiler/ops/general/lanes.ts). The CPU and CUDA compile this one text, and every
// operation rounds the same way on AVX2, AVX-512 and a GPU, so all give the same bits. On a GPU exp costs about 20
// instructions per element.
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

/// The error function, odd in every bit: x + x q(x^2) for small x, otherwise 1 - exp(l(|x|)), where l is the logarithm
/// of 1 - erf. q and l are Chebyshev fits for |x| in [0, 0.921875] and [0.921875, 4], with errors of 4e-10 and 2e-8.
MOPROC_INLINE Vec erf(Vec x) {
  const Vec a = abs(x), z = x * x;
  Vec q = fma(Vec(8.387591046e-5f), z, Vec(-8.147202093e-4f));
  q = fma(q, z, Vec(5.201466869e-3f));
  q = fma(q, z, Vec(-2.685959231e-2f));
  q = fma(q, z, Vec(1.128369943e-1f));
  q = fma(q, z, Vec(-3.761263403e-1f));
  q = fma(q, z, Vec(1.28379167e-1f));
  const Vec t = min(Vec(4.0f), a);  // 1 - erf(4) is less than half a unit in the last place of 1
  Vec l = fma(Vec(1.643570918e-6f), t, Vec(-4.617827608e-5f));
  l = fma(l, t, Vec(5.977498427e-4f));
  l = fma(l, t, Vec(-4.763623032e-3f));
  l = fma(l, t, Vec(2.643121212e-2f));
  l = fma(l, t, Vec(-1.100949417e-1f));
  l = fma(l, t, Vec(-6.318138838e-1f));
  l = fma(l, t, Vec(-1.130238081f));
  l = fma(l, t, Vec(3.205816387e-4f));
  const Vec far = Vec(1.0f) - exp(l);
  return select(a > Vec(0.921875f), select(Vec(0.0f) > x, -far, far), fma(x, q, x));
}

/// The largest and the smallest of two; NaN if either is NaN.
MOPROC_INLINE Vec max_of(Vec a, Vec b) { return select(a == a, max(a, b), a); }
MOPROC_INLINE Vec min_of(Vec a, Vec b) { return select(a == a, min(a, b), a); }

MOPROC_INLINE Vec floor(Vec x) {
  const Vec r = round(x);
  return select(r > x, r - Vec(1.0f), r);
}
MOPROC_INLINE Vec ceil(Vec x) { return -floor(-x); }
MOPROC_INLINE Vec trunc(Vec x) { return select(Vec(0.0f) > x, ceil(x), floor(x)); }
/// -1, 0 or 1; a NaN stays a NaN.
MOPROC_INLINE Vec sign(Vec x) { return select(x > Vec(0.0f), Vec(1.0f), select(Vec(0.0f) > x, Vec(-1.0f), x)); }

}  // namespace moproc
