// moproc finetune: all layers of a trained network are trained on a small part of ImageNet.
#pragma once

#include <string>

#include "train/job.h"

namespace moproc::train {

struct FinetuneSettings {
  std::string pretrained;        // the checkpoint whose network the run begins with
  double share = 0.01;           // of the training images, drawn by the seed
  std::string list;              // a file of the images instead, one name per line; "" for none
  bool keep_classifier = true;   // begins with the checkpoint's classifier
  bool compat_released = false;  // each group of the batch draws its own images, as the published code does
};

/// Training images are a part of DATA/train, validation images those of DATA/val; both hold a folder per class. The
/// training list is written to exp_dir/subset.txt.
Job finetune_job(const FinetuneSettings& settings);

/// Throws InputError if the run would replace a list in exp_dir that moproc did not write.
void require_finetune_targets(const RunSettings& run);

}  // namespace moproc::train
