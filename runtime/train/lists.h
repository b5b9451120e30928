// The images that a run trains and evaluates on, and their order; and reading these lists from a WebVision folder.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/plan.h"
#include "data/dataset.h"
#include "train/settings.h"

namespace moproc::train {

/// A list that is evaluated after each epoch. Its name is part of TensorBoard's tags; "" if it is the only list.
struct Validation {
  std::string name;
  data::Dataset list;
};

struct Lists {
  std::optional<data::Dataset> train;  // nothing: only evaluation, or --synthetic
  std::vector<Validation> val;         // the first decides which epoch is best
  std::vector<float> weights;          // of the training images, if --sample-weights gives them
  std::vector<int64_t> truth;          // classes of the training images, if --truth gives them
  std::function<std::vector<uint32_t>(uint64_t seed, uint32_t epoch)> order;  // empty: the loader's order
  uint64_t visits = 0;                                                        // images of an epoch of `order`
};

/// The settings for reading the lists of a WebVision folder.
struct WebVisionLists {
  bool google = true, flickr = true;  // which sources are used
  std::string sample_weights;         // a file with the weight of each training image, "" for none
  std::string truth;                  // truth.json, "" for none
};

/// Options that select WebVision's images of the artefact's classes from these sources.
data::WebVisionOptions webvision_options(const Plan& plan, bool google, bool flickr);

/// The lists of settings.data, without the training images if the run only evaluates. Throws InputError and
/// data::DatasetError.
Lists read_webvision_lists(const Plan& plan, const RunSettings& settings, const WebVisionLists& which);

}  // namespace moproc::train
