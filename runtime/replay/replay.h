// --replay: the steps of a file instead of a training run, so that they can be compared with the same steps
// of another implementation.
#pragma once

#include "command/options.h"
#include "core/plan.h"

namespace moproc::comm {
class World;
}

namespace moproc::train {

/// Runs all steps of options.replay from the state of options.resume (without it: from the seed) and writes
/// options.trace; with options.trace_state a checkpoint after each step, with options.exp_dir one after the
/// last. File and flags are checked before the first step. Throws InputError.
void run_replay(const Plan& plan, const Options& options, comm::World* world = nullptr);

}  // namespace moproc::train
