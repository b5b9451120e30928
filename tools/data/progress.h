// A progress line on a terminal, and interruption between two steps. If stderr is a file, prints nothing.
#pragma once

#include <chrono>
#include <string>

namespace moproc::tools {

// While one exists, SIGINT and SIGTERM do not end the process but make interrupted() true, so that unfinished files can
// be removed. At most one at a time.
class Interruptible {
 public:
  Interruptible();
  ~Interruptible();
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;
  static bool interrupted();
};

class Progress {
 public:
  explicit Progress(std::string what);
  ~Progress();  // ends the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Shows `done` of `all`, images per second and the time left; at most ten times per second.
  void show(int done, int all);

 private:
  std::string what_;
  bool terminal_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point begin_, last_;
};

}  // namespace moproc::tools
