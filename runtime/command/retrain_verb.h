// moproc retrain: a classifier is trained on cleaned labels.
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
  bool finetune = false;         // all layers are trained
  bool compat_released = false;  // one epoch more
};

Verb retrain_verb();

}  // namespace moproc::command
