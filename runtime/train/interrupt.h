// Turns SIGINT, SIGTERM, SIGHUP (a terminal that is closed) and SIGUSR1 (which Slurm sends before a job's time is up)
// into a request to stop soon. Its state is global, because a signal handler can reach nothing else. Surprising: SIGHUP
// stays ignored if it is ignored at the start, as under nohup.
#pragma once

#include <iterator>

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

/// Asks for a stop as the signal `number` does, unless one has been asked for already. Before the first Interrupt,
/// the process gets the signal; after the last one it is about to end. For threads of this process.
void request_stop(int number);

/// The signals that ask for a stop, and the name of one of them.
inline constexpr int kStopSignals[] = {1, 2, 10, 15};  // SIGHUP, SIGINT, SIGUSR1, SIGTERM
inline constexpr size_t kStopSignalCount = std::size(kStopSignals);
const char* signal_name(int number);

}  // namespace moproc::train
