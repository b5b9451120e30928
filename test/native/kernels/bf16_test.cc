// Conversion to bf16 and products of pairs on one kind of CPU, against scalar code: rounding, denormals, infinities and
// NaN, loads and stores of some lanes, and the order of the two products of a pair.
#include "cpu/bf16.hpp"
#ifdef MOPROC_TEST_AMX
#include "cpu/amx.h"
#include "cpu/amx.hpp"
#endif

#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>

#include "native/tap.h"

namespace {
using namespace moproc;

constexpr int L = Vec::width;

/// The nearest bf16, ties to even; a denormal is 0, a NaN stays one.
bf16 nearest(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  if (std::isnan(x)) return static_cast<bf16>(bits >> 16 | 0x40);
  if ((bits & 0x7f800000) == 0) return static_cast<bf16>(bits >> 16 & 0x8000);
  return static_cast<bf16>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
float value(bf16 x) { return std::bit_cast<float>(uint32_t{x} << 16); }

/// x without its bits if it is denormal.
float flushed(float x) { return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x; }

TEST("f32 is rounded to the nearest bf16") {
  float x[L];
  int wrong = 0, seen = 0;
  const auto check = [&] {
    bf16 got[L] = {};
    store_narrow(got, narrow(load(x)), L);
    for (int i = 0; i < L; ++i) wrong += got[i] != nearest(x[i]), ++seen;
  };
  for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += 1021 * L) {
    for (int i = 0; i < L; ++i) x[i] = std::bit_cast<float>(static_cast<uint32_t>(bits + 1021u * i));
    check();
  }
  // Ties, the largest numbers, infinities, NaN with one low bit, denormals and their neighbours.
  const uint32_t special[] = {0x3f808000, 0x3f818000, 0x3f808001, 0x3f807fff, 0x7f7fffff, 0x7f7f7fff,
                              0x7f800000, 0xff800000, 0x7f800001, 0xffffffff, 0x00000001, 0x807fffff,
                              0x00800000, 0x00008000, 0x80000000, 0};
  for (int at = 0; at < 16; at += L) {
    for (int i = 0; i < L; ++i) x[i] = std::bit_cast<float>(special[at + i]);
    check();
  }
  CHECK_EQ(wrong, 0);
  CHECK(seen > 4000000);
}

TEST("some lanes are loaded and stored, the others are not touched") {
  bf16 from[L + 1], to[L + 1];
  for (int i = 0; i <= L; ++i) from[i] = nearest(static_cast<float>(i + 1));
  for (int lanes = 1; lanes <= L; ++lanes) {
    std::memset(to, 0xff, sizeof to);
    const Narrow x = load_narrow(from, lanes);
    store_narrow(to, x, lanes);
    float wide[L];
    store(wide, widen(x));
    for (int i = 0; i < L; ++i) {
      CHECK_EQ(to[i], i < lanes ? from[i] : 0xffff);
      CHECK_EQ(wide[i], i < lanes ? static_cast<float>(i + 1) : 0.0f);
    }
    CHECK_EQ(to[L], 0xffff);
  }
}

TEST("a pair has its first element in the lower half") {
  float words[L];
  store(words, pair(narrow(Vec(2.0f)), narrow(Vec(3.0f))));
  for (float w : words) CHECK_EQ(std::bit_cast<uint32_t>(w), uint32_t{nearest(3.0f)} << 16 | nearest(2.0f));
}

/// The sum of mac for lane 0, in the mode in which kernels run.
float mac(bf16 x0, bf16 x1, bf16 w0, bf16 w1, float sum) {
  const FlushDenormals mode;
  float words[L];
  const float x = std::bit_cast<float>(uint32_t{x1} << 16 | x0);
  store(words, Vec(std::bit_cast<float>(uint32_t{w1} << 16 | w0)));
  store(words, Bf16::mac(Bf16::broadcast(&x), Bf16::load(words), Vec(sum)));
  return words[0];
}

TEST("the second product of a pair is added first, and each sum is rounded") {
  CHECK_EQ(mac(nearest(1), nearest(1), nearest(1), nearest(1), 0x1p24f), 0x1p24f);  // 2^24 + 1 is 2^24, twice
  // -2^24 takes 2^24 away before 1 is added, only in this order.
  CHECK_EQ(mac(nearest(1), nearest(-0x1p12f), nearest(1), nearest(0x1p12f), 0x1p24f), 1.0f);
  CHECK_EQ(mac(nearest(-0x1p12f), nearest(1), nearest(0x1p12f), nearest(1), 0x1p24f), 0.0f);
}

TEST("random pairs, also with denormal operands and sums, are two fused multiply-adds without denormals") {
  std::mt19937 random(1);
  int wrong = 0;
  for (int i = 0; i < 200000; ++i) {
    bf16 v[4];
    for (bf16& x : v) {
      x = static_cast<bf16>(random());
      if (i % 3 == 0) x &= 0xa0ff;              // small, so that products are denormal
      if ((x & 0x7f80) == 0x7f80) x &= 0xbfff;  // finite
    }
    uint32_t bits = static_cast<uint32_t>(random());
    if (i % 2 == 0) bits &= 0x80ffffff;
    if ((bits & 0x7f800000) == 0x7f800000) bits &= 0xbfffffff;
    const float sum = flushed(std::bit_cast<float>(bits));
    float want[4];
    for (int k = 0; k < 4; ++k) want[k] = flushed(value(v[k]));
    const float first = flushed(std::fma(want[1], want[3], sum));
    const float both = flushed(std::fma(want[0], want[2], first));
    const float got = mac(v[0], v[1], v[2], v[3], std::bit_cast<float>(bits));
    wrong += !(std::isnan(both) && std::isnan(got)) && std::bit_cast<uint32_t>(got) != std::bit_cast<uint32_t>(both);
  }
  CHECK_EQ(wrong, 0);
}

#ifdef MOPROC_TEST_AMX

/// sum + a * b of one element of a tile, as the manual defines it: even and odd elements are summed apart.
float tile_sum(const bf16* a, const bf16* b, int words, float sum) {
  float even = 0, odd = 0;
  for (int k = 0; k < words; ++k) {
    even = flushed(std::fma(flushed(value(a[2 * k])), flushed(value(b[32 * k])), even));
    odd = flushed(std::fma(flushed(value(a[2 * k + 1])), flushed(value(b[32 * k + 1])), odd));
  }
  return flushed(flushed(sum) + flushed(even + odd));
}

TEST("a block of tiles adds products in the order of the manual, for tiles of all sizes") {
  std::mt19937 random(2);
  int wrong = 0, seen = 0;
  for (int i = 0; i < 400; ++i) {
    const int words = 1 + i % 16, kind = i % 3;
    constexpr int kTile = 16 * 32, kSums = 32 * 32;
    alignas(64) static bf16 a[2 * kTile], b[2 * kTile];
    alignas(64) static float sums[kSums], before[kSums];
    for (bf16* const tiles : {a, b})
      for (int t = 0; t < 2 * kTile; ++t) {
        bf16 x = static_cast<bf16>(random());
        if (kind == 0) x &= 0xa0ff;  // small: products are denormal
        if (kind == 1) x = static_cast<bf16>((x & 0x807f) | (120 + random() % 12) << 7);  // of about one size: rounding
        if ((x & 0x7f80) == 0x7f80) x &= 0xbfff;                                          // finite
        tiles[t] = x;
      }
    for (int t = 0; t < kSums; ++t) {
      uint32_t bits = static_cast<uint32_t>(random());
      if (kind == 1) bits = (bits & 0x807fffff) | static_cast<uint32_t>(120 + random() % 12) << 23;
      if ((bits & 0x7f800000) == 0x7f800000) bits &= 0xbfffffff;
      sums[t] = before[t] = std::bit_cast<float>(bits);
    }
    {
      const TileMode mode(words);
      sums_load<2, 2>(sums, 16 * 32, 16, 32);
      tile_load<kA>(reinterpret_cast<const float*>(a), 16), tile_load<kB>(reinterpret_cast<const float*>(b), 16);
      tile_load<kA + 1>(reinterpret_cast<const float*>(a + kTile), 16);
      tile_load<kB + 1>(reinterpret_cast<const float*>(b + kTile), 16);
      sums_mac<2, 2>();
      sums_store<2, 2>(sums, 16 * 32, 16, 32);
    }
    for (int m = 0; m < 32; ++m)
      for (int n = 0; n < 32; ++n, ++seen) {
        const float got = sums[m * 32 + n],
                    want = tile_sum(a + m * 32, b + n / 16 * kTile + n % 16 * 2, words, before[m * 32 + n]);
        if (std::isnan(want) && std::isnan(got)) continue;
        wrong += std::bit_cast<uint32_t>(got) != std::bit_cast<uint32_t>(want);
      }
  }
  CHECK_EQ(wrong, 0);
  CHECK_EQ(seen, 400 * 32 * 32);
}

#endif

TEST("the mode ends with the object") {
  const unsigned before = _mm_getcsr();
  {
    const FlushDenormals mode;
    CHECK_EQ(_mm_getcsr() & 0x8040u, 0x8040u);
  }
  CHECK_EQ(_mm_getcsr(), before);
}

}  // namespace

int main(int argc, char** argv) {
#ifdef __AMX_BF16__
  if (!moproc::has_amx()) return std::puts("Bail out! the kernel does not allow AMX"), 1;
#endif
  return moproc::test::run(argc, argv);
}
