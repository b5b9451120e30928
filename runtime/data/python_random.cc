#include "python_random.h"

#include <bit>

namespace moproc::data {

PythonRandom::PythonRandom(std::uint64_t seed) {
  const std::array<std::uint32_t, 2> key = {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)};
  const std::size_t keys = key[1] != 0 ? 2 : 1;  // as many words as the seed needs, at least one
  state_[0] = 19650218u;
  const auto mixed = [this](std::size_t i) { return state_[i - 1] ^ state_[i - 1] >> 30; };
  for (std::size_t i = 1; i < kSize; ++i) state_[i] = 1812433253u * mixed(i) + static_cast<std::uint32_t>(i);
  std::size_t i = 1, k = 0;
  const auto step = [&] {
    if (++i < kSize) return;
    state_[0] = state_[kSize - 1];
    i = 1;
  };
  for (std::size_t n = 0; n < kSize; ++n) {
    state_[i] = (state_[i] ^ mixed(i) * 1664525u) + key[k] + static_cast<std::uint32_t>(k);
    step();
    k = (k + 1) % keys;
  }
  for (std::size_t n = 1; n < kSize; ++n) {
    state_[i] = (state_[i] ^ mixed(i) * 1566083941u) - static_cast<std::uint32_t>(i);
    step();
  }
  state_[0] = 0x80000000u;
}

void PythonRandom::refill() {
  constexpr std::size_t kAhead = 397;
  for (std::size_t i = 0; i < kSize; ++i) {
    const std::uint32_t both = (state_[i] & 0x80000000u) | (state_[(i + 1) % kSize] & 0x7fffffffu);
    state_[i] = state_[(i + kAhead) % kSize] ^ both >> 1 ^ (both & 1 ? 0x9908b0dfu : 0u);
  }
  used_ = 0;
}

std::uint32_t PythonRandom::bits() {
  if (used_ == kSize) refill();
  std::uint32_t y = state_[used_++];
  y ^= y >> 11;
  y ^= y << 7 & 0x9d2c5680u;
  y ^= y << 15 & 0xefc60000u;
  return y ^ y >> 18;
}

std::uint32_t PythonRandom::below(std::uint32_t n) {
  const int width = std::bit_width(n);
  std::uint32_t value;
  do value = bits() >> (32 - width);
  while (value >= n);
  return value;
}

}  // namespace moproc::data
