// Starts the ranks of this node as processes, passes signals on to them, and starts them again when one was lost.
#pragma once

#include "comm/launch.h"
#include "command/options.h"

namespace moproc::train {

/// A run that was told to stop and has written a checkpoint to go on from: the schedulers' "try again".
inline constexpr int kStopped = 75;
/// Training came to nothing (NaN, infinity): the same would happen again.
inline constexpr int kDiverged = 3;
/// Another rank was lost; the last checkpoint is what there is.
inline constexpr int kLost = 69;

/// Runs this program again with the same arguments, once for each of plan.to_start ranks. Returns what they returned: 0
/// when all did; kStopped when all stopped with a checkpoint; 2 when one refused its input; else what the first to fail
/// returned, after options.max_restarts attempts to go on from the newest checkpoint in --exp-dir. Whoever was told to
/// stop is not started again.
int supervise(const comm::LaunchPlan& plan, const Options& options, char** argv);

/// Whether this process is such an attempt: it goes on from the newest checkpoint, whatever --resume says.
bool is_restarted();

}  // namespace moproc::train
