// predict: runs a trained network on images.
#pragma once

#include "command/shared_flags.h"
#include "command/verb.h"
#include "workflow/predict.h"

namespace moproc::command {

struct PredictVerbSettings {
  train::PredictSettings predict;
  Confirmed confirmed;
};

}  // namespace moproc::command
