// Random numbers without state: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC11). A
// draw depends only on seed, purpose, epoch, item and its position in that stream, so neither the number of threads nor
// resuming a run can change it.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

namespace moproc::data {

using Block = std::array<std::uint32_t, 4>;

// The bijection: ten rounds over a 128-bit counter with a 64-bit key.
Block philox4x32_10(Block counter, std::array<std::uint32_t, 2> key);

// The purpose of a stream. Never renumber: the numbers determine the result of every run.
enum class Purpose : std::uint32_t {
  weak_view = 0,
  strong_view = 1,
  epoch_order = 2,
  key_shuffle = 3,
  sample_scene = 4,
  sample_label = 5,
  balanced_order = 6,
  subset = 7,
  mixup = 8,
  svm_order = 9,
  validation_split = 10,
};

// The 64-bit FNV-1a hash of a name, for draws that depend on it: its halves can be the epoch and item of a stream.
constexpr std::uint64_t fnv1a(std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

// One stream of draws. Cheap to make and to copy.
class Stream {
 public:
  // epoch and item: two numbers that identify the stream within its purpose.
  Stream(std::uint64_t seed, Purpose purpose, std::uint32_t epoch, std::uint32_t item)
      : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)},
        counter_{0, epoch, item, static_cast<std::uint32_t>(purpose)} {}

  std::uint32_t bits() {
    if (used_ == 4) {
      block_ = philox4x32_10(counter_, key_);
      ++counter_[0];
      used_ = 0;
    }
    return block_[used_++];
  }

  // Uniform in [0, 1) with 53 bits; takes two draws.
  double unit() {
    const std::uint64_t high = bits() >> 5, low = bits() >> 6;
    return static_cast<double>(high << 26 | low) * 0x1p-53;
  }

  double uniform(double from, double to) { return from + (to - from) * unit(); }
  bool chance(double p) { return unit() < p; }

  // Uniform in [0, n) for n > 0 (Lemire's multiplication with rejection).
  std::uint32_t below(std::uint32_t n) {
    std::uint64_t product = static_cast<std::uint64_t>(bits()) * n;
    if (static_cast<std::uint32_t>(product) < n) {
      const std::uint32_t unfair = (0u - n) % n;
      while (static_cast<std::uint32_t>(product) < unfair) product = static_cast<std::uint64_t>(bits()) * n;
    }
    return static_cast<std::uint32_t>(product >> 32);
  }

  // Uniform in [from, to], both ends included.
  int between(int from, int to) { return from + static_cast<int>(below(static_cast<std::uint32_t>(to - from + 1))); }

  // Shuffles in place: Fisher-Yates, from the last element.
  template <class Container>
  void shuffle(Container& items) {
    for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[below(static_cast<std::uint32_t>(i))]);
  }

 private:
  std::array<std::uint32_t, 2> key_;
  Block counter_;
  Block block_{};
  int used_ = 4;
};

}  // namespace moproc::data
