// The images that a run trains and evaluates on, and their order; and reading these lists from a WebVision folder.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/plan.h"
#include "data/dataset.h"
#include "log/console.h"
#include "train/settings.h"

namespace moproc::train {

/// A list that is evaluated after each epoch.
struct Validation {
  std::string name;  // of its files; "" if it is the only list
  data::Dataset list;
  std::string title;  // in logs and tags: "WebVision", as in the published code, or the name of the data; may be ""
  std::string data;   // the name of its data
  bool first = true;  // it decides which epoch is best

  /// TensorBoard's tag of the top-k accuracy by epoch: "WebVision top1 Acc", or "Top1 Acc" without a title.
  std::string tag(int k) const { return (title.empty() ? "Top" : title + " top") + std::to_string(k) + " Acc"; }
};

struct Lists {
  std::optional<data::Dataset> train;  // nothing: only evaluation, or --synthetic
  std::vector<Validation> val;         // the first decides which epoch is best
  bool held_out = false;               // the first was held out of the training images
  std::string name = "synthetic";      // of the data, for logs
  data::ClassTable classes;            // which all of them are mapped to; empty: classes have numbers only
  std::vector<float> weights;          // of the training images, if --sample-weights gives them
  std::vector<int64_t> truth;          // classes of the training images, if --truth gives them
  std::function<std::vector<uint32_t>(uint64_t seed, uint32_t epoch)> order;  // empty: the loader's order
  uint64_t visits = 0;                                                        // images of an epoch of `order`
};

/// Completes settings.hold_out with what the run's checkpoint says: the same images are held out, unless --val-split
/// says otherwise and the data folder's own validation images are used if it has some.
void complete(HoldOut& own, const HoldOut& of_checkpoint, const std::string& folder);

/// The training and validation images of a data folder of any layout.
struct DataSets {
  std::optional<data::Dataset> train;  // all images; nothing if they were not wanted, and nothing is held out of them
  std::optional<data::Dataset> val;    // the folder's own, or images that are held out; nothing if there are neither
  bool held_out = false;               // val is not in train
  /// What the images of `val` are, for the user.
  std::string note;
};

/// Throws InputError if `h` holds images out of a folder that has validation images.
void require_no_validation(const std::string& folder, const HoldOut& h);

/// Reads the sets of a data folder, and holds images out for validation if `h` says so. Sets options.classes to the
/// table of the run. Throws InputError if images are to be held out of a folder that has validation images;
/// data::DatasetError.
DataSets read_sets(const std::string& folder, const HoldOut& h, data::ListOptions& options, bool wants_train);

/// The name of a data folder for logs: the last part of its path ("flowers" for data/flowers/).
std::string name_of_data(const std::string& folder);
/// The validation images of a data folder, with WebVision's name if that is its layout.
Validation validation_of(const std::string& folder, data::Dataset images);

/// The settings for reading the lists of a WebVision folder.
struct WebVisionLists {
  bool google = true, flickr = true;  // which sources are used
  std::string sample_weights;         // a file with the weight of each training image, "" for none
  std::string truth;                  // truth.json, "" for none
};

/// The weights of training images, in their order, from a file of lines PATH WEIGHT. Throws InputError, naming the
/// file, for a line of another form (with its number) or an image without a weight.
std::vector<float> read_weights(const std::string& path, const data::Dataset& train);
/// Throws InputError for a line of another form.
void check_weights(const std::string& path);

/// Options to read lists for the artefact's number of classes, and for the run's class table if it has one already.
data::ListOptions list_options(const Plan& plan, const RunSettings& settings);

/// The lists of settings.data, without the training images if the run only evaluates. Throws InputError and
/// data::DatasetError.
Lists read_webvision_lists(const Plan& plan, const RunSettings& settings, const WebVisionLists& which,
                           Console& console);

}  // namespace moproc::train
