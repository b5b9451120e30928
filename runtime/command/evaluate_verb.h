// evaluate: how many images a trained network gets right.
#pragma once

#include "command/ranks.h"
#include "command/shared_flags.h"
#include "command/verb.h"
#include "workflow/evaluation.h"

namespace moproc::command {

struct EvaluateVerbSettings {
  train::EvaluationSettings evaluation;
  RankSettings ranks;
  Confirmed confirmed;
};

}  // namespace moproc::command
