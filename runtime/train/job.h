// What differs between the verbs that train: which images, and where the network comes from.
#pragma once

#include <functional>
#include <string>

#include "core/plan.h"
#include "log/console.h"
#include "train/lists.h"
#include "train/settings.h"

namespace moproc::train {

struct Job {
  /// Reads the lists of images. Throws InputError or data::DatasetError. Not called for synthetic images.
  std::function<Lists(const Plan&, const RunSettings&, uint64_t seed, Console&)> lists;

  /// The run begins with the network of another task's checkpoint: RunSettings::resume, or `pretrained` when resume
  /// finds none. A checkpoint of the same verb is continued instead, with its seed.
  bool from_network = false;
  std::string pretrained;
  bool keep_classifier = true;  // else the classifier is drawn anew

  /// Writes down in EXP-DIR which training images the run has drawn; nothing for verbs that draw none. Called by the
  /// rank that writes.
  std::function<void(const std::string& exp_dir, const Lists&)> record_lists;

  bool keeps_best = false;  // writes model_best.* after each epoch that is the best so far
};

}  // namespace moproc::train
