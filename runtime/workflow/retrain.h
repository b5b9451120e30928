// moproc retrain: a classifier is trained on the cleaned labels, on top of a network that stays as it is.
#pragma once

#include <string>

#include "train/job.h"

namespace moproc::train {

struct RetrainSettings {
  std::string annotation = "pseudo_label.json";  // images and labels to train on, as clean writes them
  std::string imagenet;                          // folder with val/, which is evaluated as well; "" for none
  std::string pretrained;                        // with --resume auto: the network to begin with
  bool keep_classifier = true;                   // begins with the checkpoint's classifier
};

/// Training images come from the annotation; every class is shown equally often in an epoch.
Job retrain_job(const RetrainSettings& settings);

}  // namespace moproc::train
