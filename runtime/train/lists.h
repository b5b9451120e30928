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
  data::ClassTable classes;            // which all of them are mapped to; empty: classes have numbers only
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

/// Options to read lists for the artefact's number of classes, and for the run's class table if it has one already.
data::ListOptions list_options(const Plan& plan, const RunSettings& settings);

/// Sets options.classes to the table of the run: the one it has already (a checkpoint's), that of the training list, or
/// that of the data folder's training images. Returns it.
data::ClassTable settle_classes(data::ListOptions& options, const RunSettings& settings,
                                const std::optional<data::Dataset>& train);

/// The lists of settings.data, without the training images if the run only evaluates. Throws InputError and
/// data::DatasetError.
Lists read_webvision_lists(const Plan& plan, const RunSettings& settings, const WebVisionLists& which);

}  // namespace moproc::train
