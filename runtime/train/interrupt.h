// Turns SIGINT, SIGTERM and SIGUSR1 (which Slurm sends before a job's time is up) into a request to stop soon. Its
// state is global, because a signal handler can reach nothing else.
#pragma once

namespace moproc::train {

/// While one exists, the first of these signals is noted and announced on stderr, and a second one ends the process
/// immediately with status 128 + its number. The destructor restores the earlier handlers. At most one at a time.
class Interrupt {
 public:
  /// `verb`: the announcement begins with it. It must outlive this object.
  explicit Interrupt(const char* verb);
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  /// The number of the first signal; 0 if none has come.
  int signal() const;
};

}  // namespace moproc::train
