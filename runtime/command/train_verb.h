// moproc train: trains MoPro, or a plain classifier, on a folder of images.
#pragma once

#include "command/ranks.h"
#include "command/shared_flags.h"
#include "replay/replay.h"
#include "train/lists.h"
#include "train/settings.h"

namespace moproc::command {

struct TrainSettings {
  train::RunSettings run;
  train::WebVisionLists lists;
  train::ReplaySettings replay;
  RankSettings ranks;
  Confirmed confirmed;
  bool compat_paper = false;       // --compat paper
  bool start_clean_given = false;  // --start_clean_epoch is given, so --compat does not set it
};

Verb train_verb();

}  // namespace moproc::command
