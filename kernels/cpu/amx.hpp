// Products of matrices by the tiles of AMX, Intel's matrix unit, for convolutions in bf16: a tile has 16 rows of 64
// bytes; one instruction adds A (16, 2 * words) times B (2 * words, 16) to sums of f32, where A has pairs of bf16 in
// its rows, and row k of B has the pairs (2 * k, 2 * k + 1) of 16 columns. Sums of even and odd elements are kept apart
// inside an instruction, added to each other, and then to the sum before. Denormals are 0. (Intel 64 and IA-32
// Architectures Software Developer's Manual, TDPBF16PS.) If the file is compiled without AMX (-mamx-bf16), code for
// AVX-512 gives the same bits, slowly: it is there for tests.
#pragma once

#include "cpu/bf16.hpp"

#if !defined(__AVX512F__)
#error "AMX comes with AVX-512"
#endif

namespace moproc {

/// The tiles: 0-3 sums, 4 and 5 operand A, 6 and 7 operand B.
enum : int { kSums = 0, kA = 4, kB = 6 };

#if defined(__AMX_BF16__)

/// While one exists, the thread's tiles have operands of `words` words, and denormals are 0 in other instructions, too.
class TileMode {
 public:
  explicit TileMode(int words) {
    struct alignas(64) Config {
      uint8_t palette, start_row, reserved[14];
      uint16_t row_bytes[16];
      uint8_t rows[16];
    } config{};
    config.palette = 1;
    for (int t = 0; t < 8; ++t) {
      config.row_bytes[t] = static_cast<uint16_t>(t >= kA && t < kB ? 4 * words : 64);
      config.rows[t] = static_cast<uint8_t>(t >= kB ? words : 16);
    }
    asm volatile("ldtilecfg %0" ::"m"(config));
  }
  ~TileMode() { asm volatile("tilerelease"); }
  TileMode(const TileMode&) = delete;
  TileMode& operator=(const TileMode&) = delete;

 private:
  FlushDenormals flush_;
};

// Not GCC's intrinsics: these do not say which memory they read, so that stores before them may be dropped.
template <int T, int what>
MOPROC_INLINE void tile_op(const float* at, int64_t stride_words) {
  if constexpr (what == 0) asm volatile("tilezero %%tmm%c0" ::"i"(T));
  if constexpr (what == 1)
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(at), "r"(stride_words * 4), "i"(T) : "memory");
  if constexpr (what == 2)
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(at), "r"(stride_words * 4), "i"(T) : "memory");
}

/// Adds A times B to the sums (i, j) of a block of 2 x 2: i counts tiles of A, j of B.
template <int I, int J>
MOPROC_INLINE void tile_mac() {
  asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(2 * I + J), "i"(kA + I), "i"(kB + J));
}

#else

struct SoftTiles {
  alignas(64) float data[8][16][16];
  int words;
};
inline thread_local SoftTiles soft_tiles;

class TileMode {
 public:
  explicit TileMode(int words) { soft_tiles.words = words; }

 private:
  FlushDenormals flush_;
};

template <int T, int what>
MOPROC_INLINE void tile_op(const float* at, int64_t stride_words) {
  constexpr bool is_a = T >= kA && T < kB;
  const int rows = T >= kB ? soft_tiles.words : 16;
  for (int r = 0; r < rows; ++r) {
    float* const row = soft_tiles.data[T][r];
    if constexpr (what == 0) store(row, Vec());
    if constexpr (what == 1) store(row, load(at + r * stride_words, is_a ? soft_tiles.words : 16));
    if constexpr (what == 2) store(const_cast<float*>(at) + r * stride_words, load(row));
  }
}

template <int I, int J>
static void tile_mac() {
  float (&sums)[16][16] = soft_tiles.data[2 * I + J];
  for (int m = 0; m < 16; ++m) {
    Vec even, odd;
    for (int k = 0; k < soft_tiles.words; ++k) {
      const auto split = [](Vec words, Vec& high) {
        const __m512i bits = _mm512_castps_si512(words.r);
        high = _mm512_castsi512_ps(_mm512_and_si512(bits, _mm512_set1_epi32(static_cast<int>(0xffff0000))));
        return Vec(_mm512_castsi512_ps(_mm512_slli_epi32(bits, 16)));
      };
      Vec a1, b1;
      const Vec a0 = split(Vec(soft_tiles.data[kA + I][m][k]), a1), b0 = split(load(soft_tiles.data[kB + J][k]), b1);
      even = fma(a0, b0, even);
      odd = fma(a1, b1, odd);
    }
    store(sums[m], load(sums[m]) + (even + odd));
  }
}

#endif

template <int T>
MOPROC_INLINE void tile_zero() {
  tile_op<T, 0>(nullptr, 0);
}
/// Rows `stride_words` apart.
template <int T>
MOPROC_INLINE void tile_load(const float* from, int64_t stride_words) {
  tile_op<T, 1>(from, stride_words);
}
template <int T>
MOPROC_INLINE void tile_store(float* to, int64_t stride_words) {
  tile_op<T, 2>(to, stride_words);
}

/// The sums of I x J tiles of 16 x 16 f32: tile (i, j) begins at `at` + i * next_i + j * next_j, and its rows lie
/// `stride` apart.
template <int I, int J>
MOPROC_INLINE void sums_load(const float* at, int64_t next_i, int64_t next_j, int64_t stride) {
  tile_load<0>(at, stride);
  if constexpr (J > 1) tile_load<1>(at + next_j, stride);
  if constexpr (I > 1) tile_load<2>(at + next_i, stride);
  if constexpr (I > 1 && J > 1) tile_load<3>(at + next_i + next_j, stride);
}
template <int I, int J>
MOPROC_INLINE void sums_store(float* at, int64_t next_i, int64_t next_j, int64_t stride) {
  tile_store<0>(at, stride);
  if constexpr (J > 1) tile_store<1>(at + next_j, stride);
  if constexpr (I > 1) tile_store<2>(at + next_i, stride);
  if constexpr (I > 1 && J > 1) tile_store<3>(at + next_i + next_j, stride);
}
MOPROC_INLINE void sums_zero() { tile_zero<0>(), tile_zero<1>(), tile_zero<2>(), tile_zero<3>(); }
template <int I, int J>
MOPROC_INLINE void sums_mac() {
  tile_mac<0, 0>();
  if constexpr (J > 1) tile_mac<0, 1>();
  if constexpr (I > 1) tile_mac<1, 0>();
  if constexpr (I > 1 && J > 1) tile_mac<1, 1>();
}

}  // namespace moproc
