// moproc retrain: trains a classifier on cleaned labels.
#pragma once

#include "command/ranks.h"
#include "command/shared_flags.h"
#include "train/settings.h"
#include "workflow/retrain.h"

namespace moproc::command {

struct RetrainVerbSettings {
  train::RunSettings run;
  train::RetrainSettings retrain;
  RankSettings ranks;
  Confirmed confirmed;
  bool finetune = false;         // train all layers
  bool compat_released = false;  // one more epoch
};

Verb retrain_verb();

}  // namespace moproc::command
