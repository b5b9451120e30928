// Starts the ranks of this node as processes, passes signals on to them, and starts them again if one was lost.
#pragma once

#include <string>

#include "comm/launch.h"

namespace moproc::train {

/// Exit status of a run that a signal stopped and that can continue from a checkpoint (EX_TEMPFAIL, so schedulers try
/// again).
inline constexpr int kStopped = 75;
/// Exit status if training diverged (NaN or infinity). Another attempt would diverge, too.
inline constexpr int kDiverged = 3;
/// Exit status of a run that --stop-on-collapse has ended, with a checkpoint. Another attempt would end in the same
/// way.
inline constexpr int kCollapsed = 4;
/// Exit status of a rank that lost another rank. The run can continue from its last checkpoint.
inline constexpr int kLost = 69;

struct Supervision {
  std::string verb;      // messages begin with it
  std::string exp_dir;   // folder of the checkpoints, "" for none
  double timeout = 600;  // seconds (plus 2) in which the other ranks must end after one has failed
  int max_restarts = 0;
};

/// Runs this program with the same arguments, once for each of plan.to_start ranks. Returns the most serious status of
/// the ranks: 2 (refused input), then any other failure (the first rank's; 128 + the number of a signal), kLost,
/// kStopped, 0. After kLost or a failure other than 2, kDiverged and kCollapsed, all ranks are started again, up to
/// max_restarts times, to continue from the newest checkpoint in exp_dir; not if a signal told the run to stop. Throws
/// InputError if no process can be started.
int supervise(const comm::LaunchPlan& plan, const Supervision& how, char** argv);

/// Whether this process was started again: it continues from the newest checkpoint and ignores --resume.
bool is_restarted();

}  // namespace moproc::train
