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
struct sigaction before_int, before_term, before_usr1;
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<int64_t>::is_always_lock_free);

int64_t now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return int64_t{1000} * t.tv_sec + t.tv_nsec / 1000000;
}

void on_signal(int number) {
  int none = 0;
  if (!first.compare_exchange_strong(none, number)) {
    if (now() - first_at > kSameRequest) _exit(128 + number);
    return;
  }
  first_at = now();
  constexpr char text[] = ": stopping after this step; a second signal stops at once\n";
  if (isatty(STDERR_FILENO)) (void)!write(STDERR_FILENO, "\n", 1);  // below the progress bar
  (void)!write(STDERR_FILENO, name, std::strlen(name));
  (void)!write(STDERR_FILENO, text, std::strlen(text));
}

}  // namespace

Interrupt::Interrupt(const char* verb) {
  name = verb;
  first = 0;
  struct sigaction action{};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &before_int);
  sigaction(SIGTERM, &action, &before_term);
  sigaction(SIGUSR1, &action, &before_usr1);
}

Interrupt::~Interrupt() {
  sigaction(SIGINT, &before_int, nullptr);
  sigaction(SIGTERM, &before_term, nullptr);
  sigaction(SIGUSR1, &before_usr1, nullptr);
}

int Interrupt::signal() const { return first; }

}  // namespace moproc::train
