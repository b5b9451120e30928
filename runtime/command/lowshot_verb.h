// moproc lowshot: measures the features of a trained network with linear SVMs.
#pragma once

#include "command/shared_flags.h"
#include "command/verb.h"
#include "workflow/lowshot.h"

namespace moproc::command {

struct LowshotVerbSettings {
  train::LowshotSettings lowshot;
  Confirmed confirmed;
  bool supervise = false;  // has no effect; old command lines have it
};

Verb lowshot_verb();

}  // namespace moproc::command
