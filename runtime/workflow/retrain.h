// moproc retrain: trains a classifier on the cleaned labels, on top of a network that changes only with --finetune.
#pragma once

#include <string>

#include "train/job.h"

namespace moproc::train {

struct RetrainSettings {
  std::string annotation = "pseudo_label.json";  // images and labels to train on, written by clean
  std::string imagenet;                          // folder with val/, which is evaluated, too; "" for none
  std::string pretrained;                        // the network to begin with if --resume auto finds none
  bool keep_classifier = true;                   // start from the checkpoint's classifier
};

/// Training images come from the annotation, in the order of data::balanced_order(): rare classes are shown more often
/// than they are listed.
Job retrain_job(const RetrainSettings& settings);

}  // namespace moproc::train
