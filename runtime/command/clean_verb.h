// moproc clean: a trained MoPro model judges the label of every training image.
#pragma once

#include "command/shared_flags.h"
#include "command/verb.h"
#include "workflow/clean.h"

namespace moproc::command {

struct CleanVerbSettings {
  train::CleanSettings clean;
  Confirmed confirmed;
};

Verb clean_verb();

}  // namespace moproc::command
