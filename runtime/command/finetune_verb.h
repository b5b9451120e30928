// moproc finetune: trains all layers on a small part of ImageNet.
#pragma once

#include "command/ranks.h"
#include "command/shared_flags.h"
#include "train/settings.h"
#include "workflow/finetune.h"

namespace moproc::command {

struct FinetuneVerbSettings {
  train::RunSettings run;
  train::FinetuneSettings finetune;
  RankSettings ranks;
  Confirmed confirmed;
};

Verb finetune_verb();

}  // namespace moproc::command
