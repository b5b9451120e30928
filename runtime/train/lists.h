// Which images a run trains and evaluates on, and in which order; and how training reads a WebVision folder.
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

/// A list that is evaluated after each epoch; its name is part of TensorBoard's tags, "" for the only one there is.
struct Validation {
  std::string name;
  data::Dataset list;
};

struct Lists {
  std::optional<data::Dataset> train;  // none: only evaluation, or --synthetic
  std::vector<Validation> val;         // the first decides which epoch is best
  std::vector<float> weights;          // of the training images, if --sample-weights gives them
  std::vector<int64_t> truth;          // classes of the training images, if --truth gives them
  std::function<std::vector<uint32_t>(uint64_t seed, uint32_t epoch)> order;  // empty: the loader's own
  uint64_t visits = 0;                                                        // of an epoch of `order`
};

/// What a WebVision folder's lists need besides the folder.
struct WebVisionLists {
  bool google = true, flickr = true;  // whose images are used
  std::string sample_weights;         // a file of how much each training image counts, "" for none
  std::string truth;                  // truth.json, "" for none
};

/// Which of WebVision's images the artefact's classes and these sources take.
data::WebVisionOptions webvision_options(const Plan& plan, bool google, bool flickr);

/// The lists of settings.data, without the training images when the run only evaluates. Throws InputError,
/// data::DatasetError.
Lists read_webvision_lists(const Plan& plan, const RunSettings& settings, const WebVisionLists& which);

}  // namespace moproc::train
