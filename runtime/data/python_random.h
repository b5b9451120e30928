// The part of Python's random.Random that shuffles a list, so that a seed draws the same images as in a Python script:
// Mersenne Twister (Matsumoto & Nishimura 1998), seeded by its init_by_array.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

namespace moproc::data {

class PythonRandom {
 public:
  // As random.seed(seed).
  explicit PythonRandom(std::uint64_t seed);

  // 32 random bits.
  std::uint32_t bits();

  // A number in [0, n), for n at least 1, as random.randrange(n).
  std::uint32_t below(std::uint32_t n);

  // As random.shuffle(items).
  template <class T>
  void shuffle(std::vector<T>& items) {
    for (std::size_t i = items.size(); i-- > 1;) std::swap(items[i], items[below(static_cast<std::uint32_t>(i + 1))]);
  }

 private:
  void refill();

  static constexpr std::size_t kSize = 624;
  std::array<std::uint32_t, kSize> state_;
  std::size_t used_ = kSize;
};

}  // namespace moproc::data
