// Output for people: a progress bar on a terminal, plain lines elsewhere, and the format of numbers in both.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace moproc::train {

/// Like printf, but returns the text.
std::string format(const char* pattern, ...) __attribute__((format(printf, 1, 2)));
/// Sixteen hexadecimal digits, as digests are written.
std::string hex(uint64_t v);
/// A word of a command line, in quotes if a shell needs them.
std::string in_shell(const std::string& word);
/// "1:02:03" or "2:03".
std::string show_time(double seconds);
/// "1.93 GB", "12.0 MB", "4.1 kB": powers of 1000.
std::string show_bytes(int64_t bytes);
/// The process's peak resident memory so far, in bytes; 0 if the system does not report it.
int64_t peak_resident_bytes();

/// Writes lines to stdout. On a terminal, keeps a status line below them, which is redrawn at most 10 times per second.
class Console {
 public:
  /// `speaks`: false for ranks that print nothing because another rank prints.
  Console(bool terminal, bool quiet, bool speaks = true)
      : terminal_(terminal && speaks), quiet_(quiet), speaks_(speaks) {}
  ~Console() { clear(); }
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  bool terminal() const { return terminal_; }
  bool quiet() const { return quiet_; }
  /// Prints a line that stays.
  void line(const std::string& text);
  /// Draws the status line: `left` [=====>   ] `right`, cut to the terminal's width. `share` is in [0, 1]. Does nothing
  /// without a terminal.
  void status(const std::string& left, double share, const std::string& right);

 private:
  void clear();

  bool terminal_, quiet_, speaks_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point last_{};
};

}  // namespace moproc::train
