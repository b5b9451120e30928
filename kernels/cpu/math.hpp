// The elementary functions on the CPU: common/math.h over the Vec of one SIMD register.
#pragma once

#include "cpu/vec.hpp"

namespace moproc::math {

/// x = m * 2^e with m in [sqrt(1/2), sqrt(2)); x is normal and positive.
struct Split {
  Vec m, e;
};
MOPROC_INLINE Split split(Vec x) {
  constexpr int sqrt_half = 0x3f3504f3;
#if defined(__AVX512F__)
  const __m512i bits = _mm512_castps_si512(x.r);
  const __m512i e = _mm512_srai_epi32(_mm512_sub_epi32(bits, _mm512_set1_epi32(sqrt_half)), 23);
  return {_mm512_castsi512_ps(_mm512_sub_epi32(bits, _mm512_slli_epi32(e, 23))), _mm512_cvtepi32_ps(e)};
#else
  const __m256i bits = _mm256_castps_si256(x.r);
  const __m256i e = _mm256_srai_epi32(_mm256_sub_epi32(bits, _mm256_set1_epi32(sqrt_half)), 23);
  return {_mm256_castsi256_ps(_mm256_sub_epi32(bits, _mm256_slli_epi32(e, 23))), _mm256_cvtepi32_ps(e)};
#endif
}

}  // namespace moproc::math

#include "common/math.h"
