// bf16 on the CPU: conversion, and products of pairs with sums in f32. The instructions of AVX512-BF16 are used if the
// file is compiled for them (-mavx512bf16). Without them, other instructions give the same bits. Both take denormals
// for zero: in conversion, and in products, which need the processor's mode FlushDenormals.
#pragma once

#include "cpu/vec.hpp"

namespace moproc {

using bf16 = uint16_t;

/// The bf16 of the lanes of a Vec, each in the lower half of a lane of 32 bits; the upper halves are 0.
struct Narrow {
#if defined(__AVX512F__)
  __m512i r;
  MOPROC_INLINE Narrow() : r(_mm512_setzero_si512()) {}
  MOPROC_INLINE explicit Narrow(__m512i x) : r(x) {}
#else
  __m256i r;
  MOPROC_INLINE Narrow() : r(_mm256_setzero_si256()) {}
  MOPROC_INLINE explicit Narrow(__m256i x) : r(x) {}
#endif
};

#if defined(__AVX512F__)

/// x rounded to the nearest bf16, ties to even. A denormal becomes 0 with its sign, a NaN stays one.
MOPROC_INLINE Narrow narrow(Vec x) {
#if defined(__AVX512BF16__)
  return Narrow(_mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(x.r)));
#else
  const __m512i bits = _mm512_castps_si512(x.r),
                odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  __m512i r = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __mmask16 is_nan = _mm512_cmp_ps_mask(x.r, x.r, _CMP_UNORD_Q), tiny = _mm512_fpclass_ps_mask(x.r, 0x20);
  r = _mm512_mask_or_epi32(r, is_nan, bits, _mm512_set1_epi32(0x400000));
  r = _mm512_mask_and_epi32(r, tiny, bits, _mm512_set1_epi32(static_cast<int>(0x80000000)));
  return Narrow(_mm512_srli_epi32(r, 16));
#endif
}
MOPROC_INLINE Vec widen(Narrow x) { return _mm512_castsi512_ps(_mm512_slli_epi32(x.r, 16)); }
MOPROC_INLINE Narrow load_narrow(const bf16* p, int lanes) {
  if (lanes == 16) return Narrow(_mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))));
  return Narrow(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(lane_mask(lanes), p)));
}
MOPROC_INLINE void store_narrow(bf16* p, Narrow x, int lanes) {
  const __m256i h = _mm512_cvtepi32_epi16(x.r);
  if (lanes == 16) _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), h);
  else _mm256_mask_storeu_epi16(p, lane_mask(lanes), h);
}
/// Words with `low` in the lower and `high` in the upper halves.
MOPROC_INLINE Vec pair(Narrow low, Narrow high) {
  return _mm512_castsi512_ps(_mm512_or_si512(low.r, _mm512_slli_epi32(high.r, 16)));
}

#else

MOPROC_INLINE Narrow narrow(Vec x) {
  const __m256i bits = _mm256_castps_si256(x.r),
                odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  __m256i r = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(x.r, x.r, _CMP_UNORD_Q));
  const __m256i exponent = _mm256_and_si256(bits, _mm256_set1_epi32(0x7f800000));
  const __m256i tiny = _mm256_cmpeq_epi32(exponent, _mm256_setzero_si256());
  const __m256i sign = _mm256_and_si256(bits, _mm256_set1_epi32(static_cast<int>(0x80000000)));
  r = _mm256_blendv_epi8(r, _mm256_or_si256(bits, _mm256_set1_epi32(0x400000)), is_nan);
  return Narrow(_mm256_srli_epi32(_mm256_blendv_epi8(r, sign, tiny), 16));
}
MOPROC_INLINE Vec widen(Narrow x) { return _mm256_castsi256_ps(_mm256_slli_epi32(x.r, 16)); }
MOPROC_INLINE Narrow load_narrow(const bf16* p, int lanes) {
  alignas(16) bf16 h[8] = {};
  if (lanes == 8) return Narrow(_mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
  for (int i = 0; i < lanes; ++i) h[i] = p[i];
  return Narrow(_mm256_cvtepu16_epi32(_mm_load_si128(reinterpret_cast<const __m128i*>(h))));
}
MOPROC_INLINE void store_narrow(bf16* p, Narrow x, int lanes) {
  const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(x.r, x.r), 0x08);
  const __m128i h = _mm256_castsi256_si128(packed);
  if (lanes == 8) return _mm_storeu_si128(reinterpret_cast<__m128i*>(p), h);
  alignas(16) bf16 all[8];
  _mm_store_si128(reinterpret_cast<__m128i*>(all), h);
  for (int i = 0; i < lanes; ++i) p[i] = all[i];
}
MOPROC_INLINE Vec pair(Narrow low, Narrow high) {
  return _mm256_castsi256_ps(_mm256_or_si256(low.r, _mm256_slli_epi32(high.r, 16)));
}

#endif

MOPROC_INLINE Vec load_bf16(const bf16* p, int lanes) { return widen(load_narrow(p, lanes)); }

/// While one exists, the thread takes denormals for zero and makes none, as vdpbf16ps always does.
class FlushDenormals {
 public:
  FlushDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }
  ~FlushDenormals() { _mm_setcsr(before_); }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  unsigned before_;
};

/// How convolutions multiply. They move elements in words of 32 bits: one f32, or two bf16 that are summed. While a
/// Mode exists, the thread computes so. (Amx, conv_amx.hpp, does the same by tiles.)
struct F32 {
  using stored = float;
  static constexpr int per_word = 1;
  static constexpr bool tiles = false;
  using Operand = Vec;
  struct Mode {
    explicit Mode(int) {}
  };
  static MOPROC_INLINE Operand load(const float* words) { return moproc::load(words); }
  static MOPROC_INLINE Operand broadcast(const float* word) { return Vec(*word); }
  static MOPROC_INLINE Vec mac(Operand x, Operand w, Vec sum) { return fma(x, w, sum); }
};

struct Bf16 {
  using stored = bf16;
  static constexpr int per_word = 2;
  static constexpr bool tiles = false;
  struct Mode : FlushDenormals {
    explicit Mode(int) {}
  };
#if defined(__AVX512BF16__)
  using Operand = __m512bh;
  static MOPROC_INLINE Operand load(const float* words) { return (__m512bh)_mm512_loadu_si512(words); }
  static MOPROC_INLINE Operand broadcast(const float* word) {
    int bits;
    __builtin_memcpy(&bits, word, sizeof bits);
    return (__m512bh)_mm512_set1_epi32(bits);
  }
  static MOPROC_INLINE Vec mac(Operand x, Operand w, Vec sum) { return _mm512_dpbf16_ps(sum.r, x, w); }
#else
  /// The two elements of each word as f32.
  struct Operand {
    Vec first, second;
  };
  static MOPROC_INLINE Operand split(Vec words) {
#if defined(__AVX512F__)
    const __m512i bits = _mm512_castps_si512(words.r);
    return {_mm512_castsi512_ps(_mm512_slli_epi32(bits, 16)),
            _mm512_castsi512_ps(_mm512_and_si512(bits, _mm512_set1_epi32(static_cast<int>(0xffff0000))))};
#else
    const __m256i bits = _mm256_castps_si256(words.r);
    return {_mm256_castsi256_ps(_mm256_slli_epi32(bits, 16)),
            _mm256_castsi256_ps(_mm256_and_si256(bits, _mm256_set1_epi32(static_cast<int>(0xffff0000))))};
#endif
  }
  static MOPROC_INLINE Operand load(const float* words) { return split(moproc::load(words)); }
  static MOPROC_INLINE Operand broadcast(const float* word) {
    float bits;
    __builtin_memcpy(&bits, word, sizeof bits);
    return split(Vec(bits));
  }
  /// In the instruction's own order: the second product is added first.
  static MOPROC_INLINE Vec mac(Operand x, Operand w, Vec sum) {
    return fma(x.first, w.first, fma(x.second, w.second, sum));
  }
#endif
};

}  // namespace moproc
