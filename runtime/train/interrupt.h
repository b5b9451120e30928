// SIGINT, SIGTERM and SIGUSR1 (which Slurm sends before a job's time is up) as a request to stop soon. The state behind
// it is global, because a signal handler can reach nothing else.
#pragma once

namespace moproc::train {

/// While one exists, the first of these signals is noted and announced on stderr, and a second one ends the
/// process at once with status 128 + its number. All are as before when it is gone. At most one at a time.
class Interrupt {
 public:
  /// `verb`: whose name the announcement begins with; it must outlive this.
  explicit Interrupt(const char* verb);
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  /// The number of the signal that came first, 0 before one did.
  int signal() const;
};

}  // namespace moproc::train
