// The counter-based random numbers Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2,
// 3; SC 2011): four words that depend on a counter and a key only, so any thread can compute any of them.
// compiler/ops/general/philox.ts computes the same.
#pragma once

#include <cstdint>

#include "common/sizes.h"

namespace moproc {

struct Philox {
  uint32_t word[4];
};

/// The words of the counter, from the lowest to the highest, and of the key.
MOPROC_BOTH Philox philox4x32(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t k0, uint32_t k1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * c0, b = uint64_t{0xCD9E8D57} * c2;
    c0 = static_cast<uint32_t>(b >> 32) ^ c1 ^ k0;
    c2 = static_cast<uint32_t>(a >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(b);
    c3 = static_cast<uint32_t>(a);
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
  return {{c0, c1, c2, c3}};
}

/// The words of four neighbouring elements in one step of the stream of one layer. All but the stream wrap around.
MOPROC_BOTH Philox philox_of(int64_t four, int64_t step, uint32_t stream, int64_t seed) {
  const auto low = [](int64_t v) { return static_cast<uint32_t>(v); };
  const auto high = [](int64_t v) { return static_cast<uint32_t>(static_cast<uint64_t>(v) >> 32); };
  return philox4x32(low(four), high(four), low(step), stream, low(seed), high(seed));
}

}  // namespace moproc
