// What the verbs that train have in common behind their flags.
#pragma once

#include "command/ranks.h"
#include "replay/replay.h"
#include "train/job.h"

namespace moproc::command {

/// Trains, as one process or as several ranks. `flags`: what they record goes into checkpoints and logs. `replay`: run
/// this file's steps instead, if it names one. Returns the exit status.
int run_training(Invocation& invocation, const FlagTable& flags, const RankSettings& ranks, train::RunSettings run,
                 const train::Job& job, const train::ReplaySettings& replay = {});

}  // namespace moproc::command
