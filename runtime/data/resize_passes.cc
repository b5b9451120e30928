// The inner loops of resizing. Sums are exact integers, so vector code and portable code give the same bits.
// Surprising: a 22-bit weight is split into an upper and a lower 11-bit half, because one instruction (multiply 16-bit
// pairs and add) can then do two taps. The sums of the halves are combined at the end, and nothing is rounded before
// that.
#include "resize_passes.h"

#include <algorithm>
#include <cstring>

#include "resize_forms.h"

#if MOPROC_X86
#include <immintrin.h>
#endif

namespace moproc::data {
namespace {

std::uint32_t rounded(const std::int32_t sum[3]) {
  int c[3];
  for (int i = 0; i < 3; ++i) c[i] = std::clamp((sum[i] + half_of_one) >> weight_bits, 0, 255);
  return pixel(c[0], c[1], c[2]);
}

void add_scaled(std::int32_t sum[3], std::uint32_t p, std::int32_t weight) {
  sum[0] += red(p) * weight;
  sum[1] += green(p) * weight;
  sum[2] += blue(p) * weight;
}

#if MOPROC_X86

// Adds the two lanes, which hold different taps, rounds, and narrows the 4 sums to the 4 bytes of a pixel.
__attribute__((target("avx2"))) inline std::uint32_t finish(__m256i upper, __m256i lower) {
  const __m256i both = _mm256_add_epi32(_mm256_slli_epi32(upper, half_bits), lower);
  __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
  sum = _mm_srai_epi32(_mm_add_epi32(sum, _mm_set1_epi32(half_of_one)), weight_bits);
  sum = _mm_packus_epi16(_mm_packs_epi32(sum, sum), sum);
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(sum));
}

// Up to 2 rows at a time, so that they share the loads of the weights.
template <int Rows>
__attribute__((target("avx2"))) void across_rows(const std::uint32_t* const from[Rows], const Weights& w,
                                                 const std::int32_t* packed, std::uint32_t* const to[Rows]) {
  // Lane 0: pixels 0 and 1 interleaved by channel and widened to 16 bits; lane 1: pixels 2 and 3.
  const __m256i spread = _mm256_setr_epi8(0, -1, 4, -1, 1, -1, 5, -1, 2, -1, 6, -1, 3, -1, 7, -1,  //
                                          8, -1, 12, -1, 9, -1, 13, -1, 10, -1, 14, -1, 11, -1, 15, -1);
  const int width = static_cast<int>(w.first.size());
  for (int x = 0; x < width; ++x) {
    __m256i upper[Rows], lower[Rows];
    for (int r = 0; r < Rows; ++r) upper[r] = lower[r] = _mm256_setzero_si256();
    for (int t = 0; t < w.count[x]; t += 4) {
      const std::int32_t* k = packed + (static_cast<std::size_t>(x) * w.taps + t) * 4;
      const __m256i k_upper = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(k));
      const __m256i k_lower = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(k + 8));
      for (int r = 0; r < Rows; ++r) {
        const __m128i four = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from[r] + w.first[x] + t));
        const __m256i pairs = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(four), spread);
        upper[r] = _mm256_add_epi32(upper[r], _mm256_madd_epi16(pairs, k_upper));
        lower[r] = _mm256_add_epi32(lower[r], _mm256_madd_epi16(pairs, k_lower));
      }
    }
    for (int r = 0; r < Rows; ++r) to[r][x] = finish(upper[r], lower[r]);
  }
}

// Rounds 8 sums of each kind to 16-bit values.
__attribute__((target("avx2"))) inline __m256i narrow(__m256i upper, __m256i lower) {
  const __m256i both = _mm256_add_epi32(_mm256_slli_epi32(upper, half_bits), lower);
  return _mm256_srai_epi32(_mm256_add_epi32(both, _mm256_set1_epi32(half_of_one)), weight_bits);
}

// 8 pixels (32 bytes) of one output row. Bytes of two rows are interleaved, so a pair of 16-bit values is a column.
__attribute__((target("avx2"))) inline void down_block(const std::uint32_t* const* rows, int count,
                                                       const std::int32_t* k, int x, std::uint32_t* to) {
  __m256i upper[4], lower[4];
  for (int i = 0; i < 4; ++i) upper[i] = lower[i] = _mm256_setzero_si256();
  const __m256i zero = _mm256_setzero_si256();
  for (int t = 0; t < count; t += 2) {
    const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(rows[t] + x));
    const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(rows[t + 1] + x));
    const __m256i k_upper = _mm256_set1_epi32(pair_upper(k[t], k[t + 1]));
    const __m256i k_lower = _mm256_set1_epi32(pair_lower(k[t], k[t + 1]));
    const __m256i low = _mm256_unpacklo_epi8(a, b);
    const __m256i high = _mm256_unpackhi_epi8(a, b);
    const __m256i pairs[4] = {_mm256_unpacklo_epi8(low, zero), _mm256_unpackhi_epi8(low, zero),
                              _mm256_unpacklo_epi8(high, zero), _mm256_unpackhi_epi8(high, zero)};
    for (int i = 0; i < 4; ++i) {
      upper[i] = _mm256_add_epi32(upper[i], _mm256_madd_epi16(pairs[i], k_upper));
      lower[i] = _mm256_add_epi32(lower[i], _mm256_madd_epi16(pairs[i], k_lower));
    }
  }
  const __m256i low = _mm256_packs_epi32(narrow(upper[0], lower[0]), narrow(upper[1], lower[1]));
  const __m256i high = _mm256_packs_epi32(narrow(upper[2], lower[2]), narrow(upper[3], lower[3]));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + x), _mm256_packus_epi16(low, high));
}

__attribute__((target("avx2"))) void pack_avx2(const std::uint32_t* pixels, std::size_t count, std::uint8_t* out) {
  const __m256i gather = _mm256_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1,  //
                                          0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
  const __m256i join = _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7);
  std::size_t i = 0;
  for (; i + 11 <= count; i += 8) {  // stores 32 bytes for 24, so it stays 8 bytes away from the end
    const __m256i eight = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(pixels + i));
    const __m256i packed = _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(eight, gather), join);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i * 3), packed);
  }
  for (; i < count; ++i) std::memcpy(out + i * 3, pixels + i, 3);
}

#endif

}  // namespace

#if MOPROC_X86

void pack_weights(const Weights& w, std::vector<std::int32_t>& packed) {
  const std::size_t groups = w.weight.size() / 4;
  packed.resize(groups * 16);
  for (std::size_t g = 0; g < groups; ++g) {
    const std::int32_t* k = w.weight.data() + g * 4;
    std::int32_t* to = packed.data() + g * 16;
    std::fill_n(to, 4, pair_upper(k[0], k[1]));
    std::fill_n(to + 4, 4, pair_upper(k[2], k[3]));
    std::fill_n(to + 8, 4, pair_lower(k[0], k[1]));
    std::fill_n(to + 12, 4, pair_lower(k[2], k[3]));
  }
}

__attribute__((target("avx2"))) void across_avx2(const Image& in, const Box& box, const Weights& w,
                                                 const std::int32_t* packed, Image& out) {
  int y = 0;
  for (; y + 2 <= box.height; y += 2) {
    const std::uint32_t* from[2] = {in.row(box.top + y) + box.left, in.row(box.top + y + 1) + box.left};
    std::uint32_t* to[2] = {out.row(y), out.row(y + 1)};
    across_rows<2>(from, w, packed, to);
  }
  if (y < box.height) {
    const std::uint32_t* from[1] = {in.row(box.top + y) + box.left};
    std::uint32_t* to[1] = {out.row(y)};
    across_rows<1>(from, w, packed, to);
  }
}

// Works on blocks of 8 pixels. The last one may reach beyond the row's end, into the next row (written later) or the
// slack.
__attribute__((target("avx2"))) void down_avx2(const Image& in, const Weights& w, Image& out) {
  std::vector<const std::uint32_t*> rows(w.taps);
  for (int y = 0; y < out.height(); ++y) {
    for (int t = 0; t < w.taps; ++t) rows[t] = in.row(std::min(w.first[y] + t, in.height() - 1));
    const std::int32_t* k = w.weight.data() + static_cast<std::size_t>(y) * w.taps;
    for (int x = 0; x < in.width(); x += 8) down_block(rows.data(), w.count[y], k, x, out.row(y));
  }
}

#endif

void pass_across_portable(const Image& in, const Box& box, const Weights& w, Image& out) {
  out.reset(static_cast<int>(w.first.size()), box.height);
  for (int y = 0; y < box.height; ++y) {
    const std::uint32_t* from = in.row(box.top + y) + box.left;
    for (int x = 0; x < out.width(); ++x) {
      std::int32_t sum[3] = {};
      for (int t = 0; t < w.count[x]; ++t) {
        add_scaled(sum, from[w.first[x] + t], w.weight[static_cast<std::size_t>(x) * w.taps + t]);
      }
      out.row(y)[x] = rounded(sum);
    }
  }
}

void pass_down_portable(const Image& in, const Weights& w, Image& out) {
  out.reset(in.width(), static_cast<int>(w.first.size()));
  for (int y = 0; y < out.height(); ++y) {
    for (int x = 0; x < in.width(); ++x) {
      std::int32_t sum[3] = {};
      for (int t = 0; t < w.count[y]; ++t) {
        add_scaled(sum, in.row(w.first[y] + t)[x], w.weight[static_cast<std::size_t>(y) * w.taps + t]);
      }
      out.row(y)[x] = rounded(sum);
    }
  }
}

void pass_across(const Image& in, const Box& box, const Weights& weights, std::vector<std::int32_t>& packed,
                 Image& out) {
#if MOPROC_X86
  if (has_avx2()) {
    out.reset(static_cast<int>(weights.first.size()), box.height);
    pack_weights(weights, packed);
    return has_vnni() ? across_avx512(in, box, weights, packed.data(), out)
                      : across_avx2(in, box, weights, packed.data(), out);
  }
#endif
  (void)packed;
  pass_across_portable(in, box, weights, out);
}

void pass_down(const Image& in, const Weights& weights, Image& out) {
#if MOPROC_X86
  if (has_avx2()) {
    out.reset(in.width(), static_cast<int>(weights.first.size()));
    return has_vnni() ? down_avx512(in, weights, out) : down_avx2(in, weights, out);
  }
#endif
  pass_down_portable(in, weights, out);
}

void pack_rgb(const std::uint32_t* pixels, std::size_t count, std::uint8_t* out) {
#if MOPROC_X86
  if (has_avx2()) return pack_avx2(pixels, count, out);
#endif
  for (std::size_t i = 0; i < count; ++i) std::memcpy(out + i * 3, pixels + i, 3);
}

}  // namespace moproc::data
