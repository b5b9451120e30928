// Redraws the status line with a carriage return and "erase to end of line" only.
#include "log/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdarg>
#include <fstream>
#include <string_view>

#include "core/standard_output.h"

namespace moproc::train {
namespace {

size_t columns() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

std::string format(const char* pattern, ...) {
  va_list args, again;
  va_start(args, pattern);
  va_copy(again, args);
  std::string text(static_cast<size_t>(std::max(0, std::vsnprintf(nullptr, 0, pattern, args))), '\0');
  std::vsnprintf(text.data(), text.size() + 1, pattern, again);
  va_end(again);
  va_end(args);
  return text;
}

std::string hex(uint64_t v) { return format("%016llx", static_cast<unsigned long long>(v)); }

std::string in_shell(const std::string& word) {
  const bool plain = !word.empty() && std::ranges::all_of(word, [](unsigned char c) {
    return std::isalnum(c) || std::string_view("_-./:=@%+,").find(static_cast<char>(c)) != std::string_view::npos;
  });
  if (plain) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

std::string show_time(double seconds) {
  const long s = std::lround(std::max(0.0, seconds));
  if (s >= 3600) return format("%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
  return format("%ld:%02ld", s / 60, s % 60);
}

std::string show_bytes(int64_t bytes) {
  const double b = static_cast<double>(bytes);
  if (b >= 1e9) return format("%.2f GB", b / 1e9);
  return b >= 1e6 ? format("%.1f MB", b / 1e6) : format("%.1f kB", b / 1e3);
}

int64_t peak_resident_bytes() {
  std::ifstream file("/proc/self/status");
  for (std::string key; file >> key;) {
    int64_t kib = 0;
    if (key == "VmHWM:" && file >> kib) return kib * 1024;
    file.ignore(1 << 16, '\n');
  }
  return 0;
}

void Console::clear() {
  if (!shown_) return;
  std::fputs("\r\033[K", stdout);
  flush_output();
  shown_ = false;
}

void Console::line(const std::string& text) {
  if (!speaks_) return;
  clear();
  std::fputs((text + "\n").c_str(), stdout);
  flush_output();
}

void Console::status(const std::string& left, double share, const std::string& right) {
  const auto now = std::chrono::steady_clock::now();
  if (!terminal_ || (shown_ && now - last_ < std::chrono::milliseconds(100))) return;
  last_ = now;
  const size_t width = columns(), text = left.size() + right.size() + 5;
  std::string bar;
  if (width > text + 6) {
    const size_t cells = std::min<size_t>(40, width - text);
    const size_t done = static_cast<size_t>(std::clamp(share, 0.0, 1.0) * static_cast<double>(cells));
    bar = "[" + std::string(done, '=') + (done < cells ? ">" + std::string(cells - done - 1, ' ') : "") + "] ";
  }
  std::string all = left + " " + bar + right;
  if (all.size() >= width) all.resize(width - 1);
  std::fputs(("\r" + all + "\033[K").c_str(), stdout);
  flush_output();
  shown_ = true;
}

}  // namespace moproc::train
