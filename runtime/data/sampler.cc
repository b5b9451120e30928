// Fisher-Yates over a stream of its own for each epoch or step.
#include "sampler.h"

#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>

#include "rng.h"

namespace moproc::data {
namespace {

template <class T>
std::vector<T> shuffled(Stream stream, std::uint64_t n) {
  if (n > std::numeric_limits<std::uint32_t>::max()) {
    throw std::invalid_argument("cannot shuffle " + std::to_string(n) + " items: more than 32 bits");
  }
  std::vector<T> order(n);
  std::iota(order.begin(), order.end(), T{0});
  stream.shuffle(order);
  return order;
}

}  // namespace

std::vector<std::uint32_t> epoch_order(std::uint64_t seed, std::uint32_t epoch, std::uint64_t n) {
  return shuffled<std::uint32_t>(Stream(seed, Purpose::epoch_order, epoch, 0), n);
}

std::vector<std::int64_t> permutation(std::uint64_t seed, std::uint64_t step, std::uint64_t n) {
  const Stream stream(seed, Purpose::key_shuffle, static_cast<std::uint32_t>(step),
                      static_cast<std::uint32_t>(step >> 32));
  return shuffled<std::int64_t>(stream, n);
}

}  // namespace moproc::data
