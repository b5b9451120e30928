// Starts the ranks of this node as processes, passes signals on to them, and starts them again when one was lost.
#pragma once

#include <string>

#include "comm/launch.h"

namespace moproc::train {

/// A run that was told to stop and has written a checkpoint to go on from: the schedulers' "try again".
inline constexpr int kStopped = 75;
/// Training came to nothing (NaN, infinity): the same would happen again.
inline constexpr int kDiverged = 3;
/// Another rank was lost; the last checkpoint is what there is.
inline constexpr int kLost = 69;

struct Supervision {
  std::string verb;      // that messages begin with
  std::string exp_dir;   // where the checkpoints are, "" for none
  double timeout = 600;  // seconds that the other ranks get to end after one has failed
  int max_restarts = 0;
};

/// Runs this program again with the same arguments, once for each of plan.to_start ranks. Returns 0 when all ranks
/// returned 0; kStopped when all stopped with a checkpoint; 2 when one refused its input; else the status of the first
/// rank that failed, after max_restarts attempts to continue from the newest checkpoint in exp_dir. A run that was
/// stopped by a signal is not started again.
int supervise(const comm::LaunchPlan& plan, const Supervision& how, char** argv);

/// Whether this process is such an attempt: it goes on from the newest checkpoint, whatever --resume says.
bool is_restarted();

}  // namespace moproc::train
