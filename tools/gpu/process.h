// Runs a command as a process group of its own with a time limit.
#pragma once

#include <string>
#include <vector>

namespace moproc::tools {

constexpr int kHang = 124;  // as timeout(1)

struct Ended {
  int status = 0;  // exit status; kHang at the time limit, 128 + N after signal N, 127 if it cannot be started
  double seconds = 0;
  std::string output;  // stdout and stderr together, at most its last 64 KiB
  bool gone = true;    // false: the process did not end when it was killed (it waits in a driver)
};

/// Runs `command`, which is looked up on the PATH, and copies its output to stdout as it comes. When `limit_s` seconds
/// have passed, the whole group is ended. Throws std::system_error if no process can be made.
Ended run_limited(const std::vector<std::string>& command, int limit_s, bool echo = true);

/// The last line of a text that is not empty.
std::string last_line(const std::string& text);

}  // namespace moproc::tools
