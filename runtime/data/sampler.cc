// Fisher-Yates shuffles, each with a stream of its own per epoch or step.
#include "sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <stdexcept>
#include <string>

#include "core/rng.h"

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

namespace {

// Adds like numpy's sum of doubles: up to 128 values with eight accumulators, more by halves.
double pairwise_sum(std::span<const double> x) {
  if (x.size() < 8) {
    double sum = 0;
    for (const double v : x) sum += v;
    return sum;
  }
  if (x.size() <= 128) {
    double r[8];
    std::copy_n(x.begin(), 8, r);
    std::size_t i = 8;
    for (; i + 8 <= x.size(); i += 8)
      for (int j = 0; j < 8; ++j) r[j] += x[i + j];
    double sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
    for (; i < x.size(); ++i) sum += x[i];
    return sum;
  }
  std::size_t half = x.size() / 2;
  half -= half % 8;
  return pairwise_sum(x.first(half)) + pairwise_sum(x.subspan(half));
}

}  // namespace

std::vector<std::uint32_t> balanced_copies(std::span<const std::uint64_t> counts) {
  std::vector<double> p;
  for (const std::uint64_t n : counts)
    if (n > 0) p.push_back(std::sqrt(1 / static_cast<double>(n)));
  const double sum = pairwise_sum(p);
  for (double& v : p) v /= sum;
  const double least = p.empty() ? 1 : *std::min_element(p.begin(), p.end());
  std::vector<std::uint32_t> copies;
  auto next = p.begin();
  for (const std::uint64_t n : counts) copies.push_back(n > 0 ? static_cast<std::uint32_t>(10 * *next++ / least) : 0);
  return copies;
}

std::vector<std::uint32_t> balanced_order(std::uint64_t seed, std::uint32_t epoch,
                                          std::span<const std::int32_t> labels) {
  std::vector<std::uint64_t> counts;
  for (const std::int32_t c : labels) {
    if (static_cast<std::size_t>(c) >= counts.size()) counts.resize(static_cast<std::size_t>(c) + 1);
    ++counts[static_cast<std::size_t>(c)];
  }
  const std::vector<std::uint32_t> copies = balanced_copies(counts);
  std::vector<std::uint32_t> order;
  for (std::size_t i = 0; i < labels.size(); ++i)
    order.insert(order.end(), copies[static_cast<std::size_t>(labels[i])], static_cast<std::uint32_t>(i));
  if (order.size() > std::numeric_limits<std::uint32_t>::max())
    throw std::invalid_argument("balanced sampling: more than 2^32 copies of samples");
  Stream stream(seed, Purpose::balanced_order, epoch, 0);
  for (std::size_t i = 0; i < labels.size(); ++i)  // only the part of the shuffle that is used
    std::swap(order[i], order[i + stream.below(static_cast<std::uint32_t>(order.size() - i))]);
  order.resize(labels.size());
  order.shrink_to_fit();
  return order;
}

namespace {

// Gamma(alpha, 1) by Marsaglia and Tsang (2000); for alpha below 1, from a draw for alpha + 1.
double gamma_draw(Stream& stream, double alpha) {
  if (alpha < 1) {
    const double boost = std::pow(1 - stream.unit(), 1 / alpha);
    return gamma_draw(stream, alpha + 1) * boost;
  }
  const double d = alpha - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double u = 1 - stream.unit(), angle = stream.unit();  // a normal draw by Box and Muller
    const double x = std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * angle);
    const double v = (1 + c * x) * (1 + c * x) * (1 + c * x);
    if (v > 0 && std::log(1 - stream.unit()) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
  }
}

}  // namespace

double beta_draw(std::uint64_t seed, std::uint64_t step, double alpha) {
  Stream stream(seed, Purpose::mixup, static_cast<std::uint32_t>(step), static_cast<std::uint32_t>(step >> 32));
  const double a = gamma_draw(stream, alpha), b = gamma_draw(stream, alpha);
  return a + b > 0 ? a / (a + b) : 0.5;
}

std::vector<std::int64_t> permutation(std::uint64_t seed, std::uint64_t step, std::uint64_t n) {
  const Stream stream(seed, Purpose::key_shuffle, static_cast<std::uint32_t>(step),
                      static_cast<std::uint32_t>(step >> 32));
  return shuffled<std::int64_t>(stream, n);
}

}  // namespace moproc::data
