// The handler calls only functions that POSIX allows in signal handlers.
#include "train/interrupt.h"

#include <time.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstring>

namespace moproc::train {
namespace {

/// Launchers pass signals on, so a signal that a terminal sends to all processes arrives more than once. A signal
/// within this time after the first one counts as the same request.
constexpr int64_t kSameRequest = 300;  // ms

std::atomic<const char*> name{""};
std::atomic<int> first{0};
std::atomic<int64_t> first_at{0};  // ms
std::atomic<bool> existed{false};  // there is or was an Interrupt
struct sigaction before[kStopSignalCount];
static_assert(kStopSignals[0] == SIGHUP && kStopSignals[1] == SIGINT && kStopSignals[2] == SIGUSR1 &&
              kStopSignals[3] == SIGTERM);
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<int64_t>::is_always_lock_free);

int64_t now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return int64_t{1000} * t.tv_sec + t.tv_nsec / 1000000;
}

/// False if a stop has been asked for before.
bool note_first(int number) {
  int none = 0;
  if (!first.compare_exchange_strong(none, number)) return false;
  first_at = now();
  constexpr char text[] = ": stopping after this step; a second signal stops at once\n";
  if (isatty(STDERR_FILENO)) (void)!write(STDERR_FILENO, "\n", 1);  // below the progress bar
  (void)!write(STDERR_FILENO, name, std::strlen(name));
  (void)!write(STDERR_FILENO, text, std::strlen(text));
  return true;
}

void on_signal(int number) {
  if (!note_first(number) && now() - first_at > kSameRequest) _exit(128 + number);
}

}  // namespace

Interrupt::Interrupt(const char* verb) {
  name = verb;
  first = 0;
  existed = true;
  struct sigaction action{};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < kStopSignalCount; ++i) {
    sigaction(kStopSignals[i], &action, &before[i]);
    if (kStopSignals[i] == SIGHUP && before[i].sa_handler == SIG_IGN) sigaction(SIGHUP, &before[i], nullptr);
  }
}

Interrupt::~Interrupt() {
  for (size_t i = 0; i < kStopSignalCount; ++i) sigaction(kStopSignals[i], &before[i], nullptr);
}

int Interrupt::signal() const { return first; }

void request_stop(int number) {
  if (existed) note_first(number);
  else kill(getpid(), number);
}

const char* signal_name(int number) {
  switch (number) {
    case SIGHUP: return "SIGHUP";
    case SIGINT: return "SIGINT";
    case SIGUSR1: return "SIGUSR1";
    case SIGTERM: return "SIGTERM";
    default: return "a signal";
  }
}

}  // namespace moproc::train
