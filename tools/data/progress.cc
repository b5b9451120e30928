// The progress line and the signal flag. Only the flag is global, because a signal handler can reach nothing else.
#include "progress.h"

#include <unistd.h>
#include <algorithm>
#include <csignal>
#include <cstdio>

namespace moproc::tools {
namespace {

volatile std::sig_atomic_t caught = 0;

void on_signal(int) { caught = 1; }

double seconds(std::chrono::steady_clock::duration d) { return std::chrono::duration<double>(d).count(); }

}  // namespace

Interruptible::Interruptible() {
  caught = 0;
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

Interruptible::~Interruptible() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

bool Interruptible::interrupted() { return caught != 0; }

Progress::Progress(std::string what)
    : what_(std::move(what)),
      terminal_(::isatty(STDERR_FILENO) != 0),
      begin_(std::chrono::steady_clock::now()),
      last_(begin_) {}

Progress::~Progress() {
  if (shown_) std::fputc('\n', stderr);
}

void Progress::show(int done, int all) {
  const auto now = std::chrono::steady_clock::now();
  if (!terminal_ || (done < all && seconds(now - last_) < 0.1)) return;
  last_ = now;
  shown_ = true;
  const double rate = done / std::max(1e-6, seconds(now - begin_));
  std::fprintf(stderr, "\r%s %d/%d, %.0f images/s, %.0f s left \033[K", what_.c_str(), done, all, rate,
               (all - done) / rate);
}

}  // namespace moproc::tools
