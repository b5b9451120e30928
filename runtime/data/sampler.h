// The order of an epoch, the shuffle of keys and other draws, as functions of the seed and a number.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace moproc::data {

// The order in which epoch `epoch` visits n samples: a permutation of 0 .. n-1. Throws std::invalid_argument if n does
// not fit 32 bits.
std::vector<std::uint32_t> epoch_order(std::uint64_t seed, std::uint32_t epoch, std::uint64_t n);

// How often the samples of each class are copied for balanced sampling, which draws from the copies: int(10 p / min p)
// with p = 1 / sqrt(samples of the class). The arithmetic is that of the published code to the last bit (numpy's; a
// class can get one copy less than with exact arithmetic). counts[c] is the number of samples of class c; a class
// without samples gets 0.
std::vector<std::uint32_t> balanced_copies(std::span<const std::uint64_t> counts);

// The balanced order of epoch `epoch`: the copies of all samples are shuffled, and as many are taken as there are
// samples. Rare classes appear more often than they are listed, and a sample may appear twice.
std::vector<std::uint32_t> balanced_order(std::uint64_t seed, std::uint32_t epoch,
                                          std::span<const std::int32_t> labels);

// The permutation of the n keys in training step `step` (counted over the whole run), the same on every rank.
std::vector<std::int64_t> permutation(std::uint64_t seed, std::uint64_t step, std::uint64_t n);

// A draw from Beta(alpha, alpha) for training step `step` (counted over the whole run): the share of mixup.
double beta_draw(std::uint64_t seed, std::uint64_t step, double alpha);

// The number of batches in an epoch of n samples: training drops the last incomplete one, evaluation keeps it.
constexpr std::uint64_t batches_in_epoch(std::uint64_t n, std::uint64_t batch, bool training) {
  return training ? n / batch : (n + batch - 1) / batch;
}

}  // namespace moproc::data
