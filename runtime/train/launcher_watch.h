// A launcher that is killed with SIGKILL cannot end the ranks that it has started. They notice it themselves, and stop
// as after SIGTERM: with a checkpoint.
#pragma once

#include <string>
#include <thread>

#include "comm/launch.h"

namespace moproc::train {

/// Watches the launcher of this rank while it exists: that of torchrun, Open MPI, MPICH, Intel MPI or Slurm. Between
/// the launcher and this process may be others, such as a script. Without a launcher nothing is watched, and neither is
/// whoever set RANK by hand, because a script may end while the ranks that it has started go on. Our own launcher's
/// ranks are killed with it (supervisor.cc).
class LauncherWatch {
 public:
  /// `verb`: the message on stderr begins with it.
  LauncherWatch(const comm::Launch& launch, std::string verb);

 private:
  std::jthread thread_;
};

}  // namespace moproc::train
