// --replay: runs the steps of a file instead of a training run, so that they can be compared with the same steps of
// another implementation.
#pragma once

#include <string>

#include "core/plan.h"
#include "train/settings.h"

namespace moproc::comm {
class World;
}

namespace moproc::train {

struct ReplaySettings {
  std::string file;   // the file with the batches; "": no replay
  std::string trace;  // the file for the results, as JSON
  std::string state;  // folder for the whole state after each step; "" for none
};

/// Throws InputError if the replay would replace a file that is not moproc's own.
void require_replay_targets(const RunSettings& settings, const ReplaySettings& replay);

/// Runs all steps of replay.file from the state of settings.resume (without one, from the seed) and writes
/// replay.trace. If replay.state is given, writes a checkpoint there after each step; if the exp_dir is given, writes
/// one there after the last step. Checks the file and the settings before the first step. Throws InputError.
void run_replay(const Plan& plan, const RunSettings& settings, const ReplaySettings& replay,
                comm::World* world = nullptr);

}  // namespace moproc::train
