// Eight f32 of one thread, with the operations of the CPU's Vec. Every operation rounds on its own: nothing is
// contracted, and division and square root are correctly rounded, so a fused body gives the same bits as on the CPU.
#pragma once

#include <cuda_bf16.h>

#include "cuda/params.cuh"

namespace moproc {

using bf16 = uint16_t;

struct Vec {
  static constexpr int width = 8;
  float x[8];
  MOPROC_INLINE Vec() : x{0, 0, 0, 0, 0, 0, 0, 0} {}
  MOPROC_INLINE Vec(float v) : x{v, v, v, v, v, v, v, v} {}
};
struct Mask {
  bool m[8];
};

template <class F>
MOPROC_INLINE Vec each(F f) {
  Vec r;
#pragma unroll
  for (int i = 0; i < 8; ++i) r.x[i] = f(i);
  return r;
}
template <class F>
MOPROC_INLINE Mask each_mask(F f) {
  Mask r;
#pragma unroll
  for (int i = 0; i < 8; ++i) r.m[i] = f(i);
  return r;
}

MOPROC_INLINE Vec operator+(Vec a, Vec b) {
  return each([&](int i) { return __fadd_rn(a.x[i], b.x[i]); });
}
MOPROC_INLINE Vec operator-(Vec a, Vec b) {
  return each([&](int i) { return __fsub_rn(a.x[i], b.x[i]); });
}
MOPROC_INLINE Vec operator*(Vec a, Vec b) {
  return each([&](int i) { return __fmul_rn(a.x[i], b.x[i]); });
}
MOPROC_INLINE Vec operator/(Vec a, Vec b) {
  return each([&](int i) { return __fdiv_rn(a.x[i], b.x[i]); });
}
MOPROC_INLINE Vec operator-(Vec a) {
  return each([&](int i) { return -a.x[i]; });
}
MOPROC_INLINE Vec fma(Vec a, Vec b, Vec c) {
  return each([&](int i) { return __fmaf_rn(a.x[i], b.x[i], c.x[i]); });
}
/// The second operand if either is NaN, as on the CPU.
MOPROC_INLINE Vec max(Vec a, Vec b) {
  return each([&](int i) { return a.x[i] > b.x[i] ? a.x[i] : b.x[i]; });
}
MOPROC_INLINE Vec min(Vec a, Vec b) {
  return each([&](int i) { return a.x[i] < b.x[i] ? a.x[i] : b.x[i]; });
}
MOPROC_INLINE Vec sqrt(Vec a) {
  return each([&](int i) { return __fsqrt_rn(a.x[i]); });
}
MOPROC_INLINE Vec abs(Vec a) {
  return each([&](int i) { return fabsf(a.x[i]); });
}
MOPROC_INLINE Vec round(Vec a) {
  return each([&](int i) { return rintf(a.x[i]); });
}
MOPROC_INLINE Mask operator>(Vec a, Vec b) {
  return each_mask([&](int i) { return a.x[i] > b.x[i]; });
}
MOPROC_INLINE Mask operator==(Vec a, Vec b) {
  return each_mask([&](int i) { return a.x[i] == b.x[i]; });
}
MOPROC_INLINE Mask operator&(Mask a, Mask b) {
  return each_mask([&](int i) { return a.m[i] && b.m[i]; });
}
MOPROC_INLINE Mask operator|(Mask a, Mask b) {
  return each_mask([&](int i) { return a.m[i] || b.m[i]; });
}
MOPROC_INLINE Mask operator!(Mask a) {
  return each_mask([&](int i) { return !a.m[i]; });
}
MOPROC_INLINE Vec select(Mask m, Vec yes, Vec no) {
  return each([&](int i) { return m.m[i] ? yes.x[i] : no.x[i]; });
}
/// x * 2^n for integral-valued n, in two half steps, so that results can be denormal.
MOPROC_INLINE float scale2(float x, float n) {
  const int i = __float2int_rn(n < -252.0f ? -252.0f : n > 254.0f ? 254.0f : n), half = i >> 1;
  return __fmul_rn(__fmul_rn(x, __int_as_float((half + 127) << 23)), __int_as_float((i - half + 127) << 23));
}
MOPROC_INLINE Vec scale2(Vec x, Vec n) {
  return each([&](int i) { return scale2(x.x[i], n.x[i]); });
}

/// The larger of the two, or NaN if either is NaN.
MOPROC_INLINE float nan_max(float best, float x) { return x == x ? (x > best ? x : best) : x; }
MOPROC_INLINE Vec nan_max(Vec best, Vec x) {
  return each([&](int i) { return nan_max(best.x[i], x.x[i]); });
}

// Memory. Without `lanes`: eight elements, aligned to their size (32 bytes of f32, 16 of bf16, 8 of u8), in accesses of
// up to 16 bytes. With it: the first `lanes` elements, one by one; the others read as 0 and are not written.

MOPROC_INLINE Vec load(const float* p) {
  const float4 a = *whole<float4>(p), b = *whole<float4>(p + 4);
  Vec r;
  r.x[0] = a.x, r.x[1] = a.y, r.x[2] = a.z, r.x[3] = a.w;
  r.x[4] = b.x, r.x[5] = b.y, r.x[6] = b.z, r.x[7] = b.w;
  return r;
}
MOPROC_INLINE void store(float* p, Vec v) {
  *whole<float4>(p) = make_float4(v.x[0], v.x[1], v.x[2], v.x[3]);
  *whole<float4>(p + 4) = make_float4(v.x[4], v.x[5], v.x[6], v.x[7]);
}
MOPROC_INLINE float widen(bf16 h) { return __uint_as_float(static_cast<unsigned>(h) << 16); }
/// Two bf16 of a register, the first in the low half.
MOPROC_INLINE void widen2(unsigned pair, float& a, float& b) {
  a = __uint_as_float(pair << 16);
  b = __uint_as_float(pair & 0xffff0000u);
}
MOPROC_INLINE Vec widen8(uint4 q) {
  Vec r;
  widen2(q.x, r.x[0], r.x[1]);
  widen2(q.y, r.x[2], r.x[3]);
  widen2(q.z, r.x[4], r.x[5]);
  widen2(q.w, r.x[6], r.x[7]);
  return r;
}
/// Round to nearest, ties to even; NaN becomes 0x7fff.
MOPROC_INLINE bf16 narrow(float x) { return __bfloat16_as_ushort(__float2bfloat16_rn(x)); }
MOPROC_INLINE unsigned narrow2(float a, float b) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(a, b);
  return static_cast<unsigned>(__bfloat16_as_ushort(pair.x)) | static_cast<unsigned>(__bfloat16_as_ushort(pair.y))
                                                                   << 16;
}
MOPROC_INLINE uint4 narrow8(Vec v) {
  return make_uint4(narrow2(v.x[0], v.x[1]), narrow2(v.x[2], v.x[3]), narrow2(v.x[4], v.x[5]), narrow2(v.x[6], v.x[7]));
}
MOPROC_INLINE Vec load_bf16(const bf16* p) { return widen8(*whole<uint4>(p)); }
MOPROC_INLINE Vec load_u8(const uint8_t* p) {
  const uint2 q = *whole<uint2>(p);
  return each([&](int i) { return static_cast<float>((i < 4 ? q.x : q.y) >> (i % 4 * 8) & 0xff); });
}

MOPROC_INLINE Vec load(const float* p, int lanes) {
  return each([&](int i) { return i < lanes ? p[i] : 0.0f; });
}
MOPROC_INLINE Vec load_bf16(const bf16* p, int lanes) {
  return each([&](int i) { return i < lanes ? widen(p[i]) : 0.0f; });
}
MOPROC_INLINE Vec load_u8(const uint8_t* p, int lanes) {
  return each([&](int i) { return i < lanes ? static_cast<float>(p[i]) : 0.0f; });
}
MOPROC_INLINE void store(float* p, Vec v, int lanes) {
#pragma unroll
  for (int i = 0; i < 8; ++i)
    if (i < lanes) p[i] = v.x[i];
}

/// The float with these bits.
MOPROC_INLINE float float_of(uint32_t bits) { return __uint_as_float(bits); }

/// Sum of the lanes in the order of a balanced tree, as on the CPU.
MOPROC_INLINE float sum_lanes(Vec a) {
#pragma unroll
  for (int step = 4; step > 0; step /= 2)
#pragma unroll
    for (int i = 0; i < step; ++i) a.x[i] = __fadd_rn(a.x[i], a.x[i + step]);
  return a.x[0];
}

}  // namespace moproc
