// Which images a run trains and evaluates on, and in which order, by what the command line asks for.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/plan.h"
#include "data/dataset.h"
#include "train/console.h"
#include "train/options.h"

namespace moproc::train {

/// A list that is evaluated after each epoch; its name is part of TensorBoard's tags, "" for the only one there is.
struct Validation {
  std::string name;
  data::Dataset list;
};

struct Lists {
  std::optional<data::Dataset> train;  // none: only evaluation, or --synthetic
  std::vector<Validation> val;         // the first decides which epoch is best
  std::vector<float> weights;          // of the training images, where --sample-weights gives them
  std::vector<int64_t> truth;          // classes of the training images, where --truth knows them
  std::function<std::vector<uint32_t>(uint64_t seed, uint32_t epoch)> order;  // empty: the loader's own
  uint64_t visits = 0;                                                        // of an epoch of `order`
};

/// Reads them. Throws InputError, data::DatasetError.
Lists read_lists(const Plan& plan, const Options& options, uint64_t seed, Console& console);

/// Writes FOLDER/subset.txt, a name a line as --list takes them, and subset.sha256, its digest as sha256sum --check reads it. Throws
/// InputError, also where a list is there that moproc did not write.
void write_subset(const std::string& folder, const data::Dataset& part);

}  // namespace moproc::train
