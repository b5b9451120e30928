// The order of an epoch and the shuffle of keys: permutations that are functions of the seed and a number.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace moproc::data {

// The order in which epoch `epoch` visits n samples: a permutation of 0 .. n-1.
// Throws std::invalid_argument when n does not fit 32 bits.
std::vector<std::uint32_t> epoch_order(std::uint64_t seed, std::uint32_t epoch, std::uint64_t n);

// How often each class is copied before an epoch of balanced sampling draws from the copies: int(10 p / min p) with
// p = 1 / sqrt(samples of the class), in the published code's arithmetic to the last bit (numpy's; one class of few can
// get a copy less than exact arithmetic gives). counts[c] > 0 are the samples of class c; a class without any gets 0.
std::vector<std::uint32_t> balanced_copies(std::span<const std::uint64_t> counts);

// The balanced order of epoch `epoch`: the copies of all samples shuffled, as many of them as there are samples. Rare
// classes come more often than they are listed, and a sample may come twice.
std::vector<std::uint32_t> balanced_order(std::uint64_t seed, std::uint32_t epoch,
                                          std::span<const std::int32_t> labels);

// The permutation of the n keys of training step `step` (counted over the whole run); every rank draws the
// same.
std::vector<std::int64_t> permutation(std::uint64_t seed, std::uint64_t step, std::uint64_t n);

// A draw of Beta(alpha, alpha) for training step `step` (counted over the whole run): the share of mixup.
double beta_draw(std::uint64_t seed, std::uint64_t step, double alpha);

// Batches in an epoch of n samples: training drops the last incomplete one, evaluation keeps it.
constexpr std::uint64_t batches_in_epoch(std::uint64_t n, std::uint64_t batch, bool training) {
  return training ? n / batch : (n + batch - 1) / batch;
}

}  // namespace moproc::data
