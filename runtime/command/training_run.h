// The part that all training verbs share once their flags are parsed.
#pragma once

#include "command/ranks.h"
#include "command/shared_flags.h"
#include "replay/replay.h"
#include "train/job.h"

namespace moproc::command {

/// What a training verb reads. `pretrained`: the checkpoint of the network that it begins with; "": that of --resume,
/// which for `train` may be the newest of a run.
Inputs training_inputs(const train::RunSettings& run, data::ListOptions lists, const std::string& pretrained,
                       const Confirmed& confirmed);

/// Trains, as one process or as several ranks. The values that `flags` record go into checkpoints and logs. If `replay`
/// names a file, runs the steps of that file instead. Returns the exit status.
int run_training(Invocation& invocation, const FlagTable& flags, const RankSettings& ranks, train::RunSettings run,
                 const train::Job& job, const train::ReplaySettings& replay = {});

}  // namespace moproc::command
