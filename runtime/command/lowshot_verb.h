// moproc lowshot: measures the features of a trained network by linear SVMs.
#pragma once

#include "command/shared_flags.h"
#include "command/verb.h"
#include "workflow/lowshot.h"

namespace moproc::command {

struct LowshotVerbSettings {
  train::LowshotSettings lowshot;
  Confirmed confirmed;
  bool supervise = false;  // accepted from old command lines, without effect
};

Verb lowshot_verb();

}  // namespace moproc::command
