// The two passes of resizing with AVX-512 and VNNI, whose instruction adds products of pairs to a sum: exactly the
// integers of resize_passes.cc, for twice the width.
#include "resize_forms.h"

#if MOPROC_X86

#include <immintrin.h>

#include <algorithm>

namespace moproc::data {
namespace {

#define MOPROC_VNNI __attribute__((target("avx512f,avx512bw,avx512vnni")))

// Rounds the sums of upper and lower halves.
MOPROC_VNNI inline __m512i rounded(__m512i upper, __m512i lower) {
  const __m512i both = _mm512_add_epi32(_mm512_slli_epi32(upper, half_bits), lower);
  return _mm512_srai_epi32(_mm512_add_epi32(both, _mm512_set1_epi32(half_of_one)), weight_bits);
}

// Up to 4 rows at a time, two in each register: lanes 0 and 1 have different taps of the first, 2 and 3 of the second.
template <int Rows>
MOPROC_VNNI void across_rows(const std::uint32_t* const from[Rows], const Weights& w, const std::int32_t* packed,
                             std::uint32_t* const to[Rows]) {
  constexpr int pairs = (Rows + 1) / 2;
  // In lanes 0 and 2: pixels 0 and 1 interleaved by channel and widened to 16 bits; in lanes 1 and 3: pixels 2 and 3.
  const __m512i spread =
      _mm512_broadcast_i64x4(_mm256_setr_epi8(0, -1, 4, -1, 1, -1, 5, -1, 2, -1, 6, -1, 3, -1, 7, -1,  //
                                              8, -1, 12, -1, 9, -1, 13, -1, 10, -1, 14, -1, 11, -1, 15, -1));
  const int width = static_cast<int>(w.first.size());
  for (int x = 0; x < width; ++x) {
    __m512i upper[pairs], lower[pairs];
    for (int r = 0; r < pairs; ++r) upper[r] = lower[r] = _mm512_setzero_si512();
    for (int t = 0; t < w.count[x]; t += 4) {
      const std::int32_t* k = packed + (static_cast<std::size_t>(x) * w.taps + t) * 4;
      const __m512i k_upper = _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(k)));
      const __m512i k_lower = _mm512_broadcast_i64x4(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(k + 8)));
      for (int r = 0; r < pairs; ++r) {
        const auto four = [&](int row) {
          return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from[std::min(row, Rows - 1)] + w.first[x] + t));
        };
        const __m512i both = _mm512_mask_broadcast_i32x4(_mm512_broadcast_i32x4(four(2 * r)), 0xff00, four(2 * r + 1));
        const __m512i taps = _mm512_shuffle_epi8(both, spread);
        upper[r] = _mm512_dpwssd_epi32(upper[r], taps, k_upper);
        lower[r] = _mm512_dpwssd_epi32(lower[r], taps, k_lower);
      }
    }
    for (int r = 0; r < pairs; ++r) {
      // The lanes of a row are added before they are rounded.
      const __m512i u = _mm512_add_epi32(upper[r], _mm512_shuffle_i32x4(upper[r], upper[r], 0xb1));
      const __m512i l = _mm512_add_epi32(lower[r], _mm512_shuffle_i32x4(lower[r], lower[r], 0xb1));
      const __m512i sum = rounded(u, l);
      const __m512i bytes = _mm512_packus_epi16(_mm512_packs_epi32(sum, sum), sum);
      to[2 * r][x] = static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm512_castsi512_si128(bytes)));
      if (2 * r + 1 < Rows)
        to[2 * r + 1][x] = static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm512_extracti32x4_epi32(bytes, 2)));
    }
  }
}

template <int Rows>
MOPROC_VNNI void across_from(const Image& in, const Box& box, const Weights& w, const std::int32_t* packed, int y,
                             Image& out) {
  const std::uint32_t* from[Rows];
  std::uint32_t* to[Rows];
  for (int r = 0; r < Rows; ++r) {
    from[r] = in.row(box.top + y + r) + box.left;
    to[r] = out.row(y + r);
  }
  across_rows<Rows>(from, w, packed, to);
}

}  // namespace

MOPROC_VNNI void across_avx512(const Image& in, const Box& box, const Weights& w, const std::int32_t* packed,
                               Image& out) {
  int y = 0;
  for (; y + 4 <= box.height; y += 4) across_from<4>(in, box, w, packed, y, out);
  for (; y < box.height; ++y) across_from<1>(in, box, w, packed, y, out);
}

// 16 pixels of an output row at a time; the last ones are masked. Bytes of two rows are interleaved, so a pair of
// 16-bit values is a column.
MOPROC_VNNI void down_avx512(const Image& in, const Weights& w, Image& out) {
  std::vector<const std::uint32_t*> rows(w.taps);
  std::vector<std::int32_t> halves(w.taps * 2);
  const __m512i zero = _mm512_setzero_si512();
  for (int y = 0; y < out.height(); ++y) {
    for (int t = 0; t < w.taps; ++t) rows[t] = in.row(std::min(w.first[y] + t, in.height() - 1));
    const std::int32_t* k = w.weight.data() + static_cast<std::size_t>(y) * w.taps;
    for (int t = 0; t < w.count[y]; t += 2) {
      halves[t] = pair_upper(k[t], k[t + 1]);
      halves[t + 1] = pair_lower(k[t], k[t + 1]);
    }
    for (int x = 0; x < in.width(); x += 16) {
      const int left = in.width() - x;
      const auto there = static_cast<__mmask16>(left < 16 ? (1u << left) - 1 : 0xffffu);
      __m512i upper[4], lower[4];
      for (int i = 0; i < 4; ++i) upper[i] = lower[i] = zero;
      for (int t = 0; t < w.count[y]; t += 2) {
        const __m512i a = _mm512_maskz_loadu_epi32(there, rows[t] + x);
        const __m512i b = _mm512_maskz_loadu_epi32(there, rows[t + 1] + x);
        const __m512i k_upper = _mm512_set1_epi32(halves[t]), k_lower = _mm512_set1_epi32(halves[t + 1]);
        const __m512i low = _mm512_unpacklo_epi8(a, b), high = _mm512_unpackhi_epi8(a, b);
        const __m512i taps[4] = {_mm512_unpacklo_epi8(low, zero), _mm512_unpackhi_epi8(low, zero),
                                 _mm512_unpacklo_epi8(high, zero), _mm512_unpackhi_epi8(high, zero)};
        for (int i = 0; i < 4; ++i) {
          upper[i] = _mm512_dpwssd_epi32(upper[i], taps[i], k_upper);
          lower[i] = _mm512_dpwssd_epi32(lower[i], taps[i], k_lower);
        }
      }
      const __m512i low = _mm512_packs_epi32(rounded(upper[0], lower[0]), rounded(upper[1], lower[1]));
      const __m512i high = _mm512_packs_epi32(rounded(upper[2], lower[2]), rounded(upper[3], lower[3]));
      _mm512_mask_storeu_epi32(out.row(y) + x, there, _mm512_packus_epi16(low, high));
    }
  }
}

}  // namespace moproc::data

#endif
