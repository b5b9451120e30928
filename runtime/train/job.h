// The differences between the training verbs: their images, and the network that they begin with.
#pragma once

#include <functional>
#include <string>

#include "core/plan.h"
#include "log/console.h"
#include "train/lists.h"
#include "train/settings.h"

namespace moproc::train {

struct Job {
  /// Reads the lists of images. Not called for synthetic images. Throws InputError or data::DatasetError.
  std::function<Lists(const Plan&, const RunSettings&, uint64_t seed, Console&)> lists;

  /// The run begins with the network of another task's checkpoint: RunSettings::resume, or `pretrained` if resume finds
  /// none. But if it is a checkpoint of the same verb, the run continues it, with its seed.
  bool from_network = false;
  std::string pretrained;
  bool keep_classifier = true;  // otherwise the classifier is initialised from the seed

  /// Writes the list of training images that the run has drawn to EXP-DIR; empty for verbs that draw none. Called by
  /// the rank that writes.
  std::function<void(const std::string& exp_dir, const Lists&)> record_lists;
};

}  // namespace moproc::train
