// What a person sees: a progress bar on a terminal, plain lines elsewhere, and how numbers are spelled in
// both.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace moproc::train {

/// printf to a string.
std::string format(const char* pattern, ...) __attribute__((format(printf, 1, 2)));
/// "1:02:03" or "2:03".
std::string show_time(double seconds);
/// "1.93 GB", "12.0 MB", "4.1 kB": powers of 1000.
std::string show_bytes(int64_t bytes);
/// The process's peak resident memory so far, bytes; 0 where the system does not say.
int64_t peak_resident_bytes();

/// Lines go to stdout; on a terminal a status line is kept below them and redrawn at most 10 times a second.
class Console {
 public:
  /// `speaks`: false for ranks that leave the talking to another.
  Console(bool terminal, bool quiet, bool speaks = true)
      : terminal_(terminal && speaks), quiet_(quiet), speaks_(speaks) {}
  ~Console() { clear(); }
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  bool terminal() const { return terminal_; }
  bool quiet() const { return quiet_; }
  /// A line that stays.
  void line(const std::string& text);
  /// The bar: `left` [=====>   ] `right`, shortened to the terminal's width. Nothing without a terminal.
  void status(const std::string& left, double share, const std::string& right);

 private:
  void clear();

  bool terminal_, quiet_, speaks_;
  bool shown_ = false;
  std::chrono::steady_clock::time_point last_{};
};

}  // namespace moproc::train
