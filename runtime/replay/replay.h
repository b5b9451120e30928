// --replay: the steps of a file instead of a training run, so that they can be compared with the same steps of another
// implementation.
#pragma once

#include <string>

#include "core/plan.h"
#include "train/settings.h"

namespace moproc::comm {
class World;
}

namespace moproc::train {

struct ReplaySettings {
  std::string file;   // batches to run; "": no replay
  std::string trace;  // what the replay has computed, as JSON
  std::string state;  // folder of the whole state after each step; "" for none
};

/// Throws InputError if a file that the replay would replace is not moproc's own.
void require_replay_targets(const RunSettings& settings, const ReplaySettings& replay);

/// Runs all steps of replay.file from the state of settings.resume (without one, from the seed) and writes
/// replay.trace; also a checkpoint after each step to replay.state, and one after the last step to the exp_dir, if
/// these are given. The file and settings are checked before the first step. Throws InputError.
void run_replay(const Plan& plan, const RunSettings& settings, const ReplaySettings& replay,
                comm::World* world = nullptr);

}  // namespace moproc::train
