// Operand addresses follow the canonical layouts of the PTX ISA ("Shared memory matrix layout", 128-byte swizzle).
#include "warp_group.h"

#include <bit>
#include <cstring>
#include <vector>

#pragma GCC optimize("O3")
#pragma GCC target("avx2")  // without FMA, which would leave out a rounding

namespace emulator {

namespace {

constexpr int terms = 16;

struct Operand {
  uint32_t start, blocks, eights;
  bool across;

  Operand(uint64_t descriptor, bool lines_across)
      : start(static_cast<uint32_t>(descriptor & 0x3fff) << 4),
        blocks(static_cast<uint32_t>(descriptor >> 16 & 0x3fff) << 4),
        eights(static_cast<uint32_t>(descriptor >> 32 & 0x3fff) << 4),
        across(lines_across) {}

  /// Byte offset of element (i across k, k) before the swizzle.
  uint32_t linear(int i, int k) const {
    const auto at = [](int x) { return static_cast<uint32_t>(x); };
    return across ? start + at(i / 64) * blocks + at(k / 8) * eights + at(k % 8) * 128 + at(i % 64) * 2
                  : start + at(i / 8) * eights + at(i % 8) * 128 + at(k) * 2;
  }
  uint32_t swizzled(int i, int k) const {
    const uint32_t byte = linear(i, k);
    return byte ^ (byte / 128 % 8 * 16);
  }
  float read(const unsigned char* shared, int i, int k) const {
    uint16_t half;
    std::memcpy(&half, shared + swizzled(i, k), 2);
    return std::bit_cast<float>(static_cast<uint32_t>(half) << 16);
  }
};

}  // namespace

void add_product(const WarpGroupProduct& p, const unsigned char* shared, int warp, float* const (&d)[32]) {
  const Operand a(p.a, p.a_across), b(p.b, p.b_across);
  std::vector<float> right(static_cast<size_t>(terms * p.n)), sum(static_cast<size_t>(p.n));
  for (int k = 0; k < terms; ++k)
    for (int j = 0; j < p.n; ++j) right[static_cast<size_t>(k * p.n + j)] = b.read(shared, j, k);
  for (int i = 0; i < 16; ++i) {
    const auto place = [&](int j) -> float& { return d[i % 8 * 4 + j % 8 / 2][j / 8 * 4 + i / 8 * 2 + j % 2]; };
    for (int j = 0; j < p.n; ++j) sum[static_cast<size_t>(j)] = place(j);
    for (int k = 0; k < terms; ++k) {
      const float x = a.read(shared, 16 * warp + i, k);
      const float* const row = right.data() + k * p.n;
      for (int j = 0; j < p.n; ++j) sum[static_cast<size_t>(j)] += x * row[j];
    }
    for (int j = 0; j < p.n; ++j) place(j) = sum[static_cast<size_t>(j)];
  }
}

void each_chunk(const WarpGroupProduct& p, const std::function<void(uint32_t)>& visit) {
  const auto of = [&](const Operand& o, int width) {
    for (int i = 0; i < width; i += o.across ? 8 : 1)
      for (int k = 0; k < terms; k += o.across ? 1 : 8) visit(o.swizzled(i, k));
  };
  of(Operand(p.a, p.a_across), 64);
  of(Operand(p.b, p.b_across), p.n);
}

uint32_t product_end(const WarpGroupProduct& p) {
  const auto end = [](const Operand& o, int width) { return o.linear(width - 1, terms - 1) / 1024 * 1024 + 1024; };
  const uint32_t a = end(Operand(p.a, p.a_across), 64), b = end(Operand(p.b, p.b_across), p.n);
  return a < b ? b : a;
}

}  // namespace emulator
