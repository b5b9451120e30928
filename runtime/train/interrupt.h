// SIGINT, SIGTERM and SIGUSR1 (what Slurm sends before a job's time is up) as a wish to stop soon. The flag behind it
// is global: a signal handler has no other way to say anything.
#pragma once

namespace moproc::train {

/// While one exists, the first of these signals is noted and announced on stderr, and a second one ends the
/// process at once with status 128 + its number. All are as before when it is gone. At most one at a time.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  /// The number of the signal that came first, 0 before one did.
  int signal() const;
};

}  // namespace moproc::train
