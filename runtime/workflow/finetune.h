// moproc finetune: trains all layers of a trained network on a small part of ImageNet.
#pragma once

#include <string>

#include "train/job.h"

namespace moproc::train {

struct FinetuneSettings {
  std::string pretrained;        // checkpoint of the network that the run begins with
  double share = 0.01;           // share of the training images, drawn with the seed
  std::string list;              // a file that lists the images instead, one name per line; "" for none
  bool keep_classifier = true;   // start from the checkpoint's classifier
  bool compat_released = false;  // each group of the batch draws its own images, as in the published code
};

/// Training images are a part of DATA/train, and validation images are all of DATA/val. Both hold one folder per class.
/// The training list is written to exp_dir/subset.txt.
Job finetune_job(const FinetuneSettings& settings);

/// Throws InputError if the run would replace a list in exp_dir that moproc did not write.
void require_finetune_targets(const RunSettings& run);

}  // namespace moproc::train
