// One thread reports to the store. The store answers at once or within seconds, so a silent store delays no other
// thread.
#include "comm/watch.h"

#include <cstdio>
#include <utility>

namespace moproc::comm {

Watch::Watch(Store& store, double timeout) : store_(store), timeout_(timeout), thread_([this] { work(); }) {}

Watch::~Watch() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Watch::at_step(int64_t step) {
  const std::lock_guard lock(mutex_);
  at_.step = step;
}

void Watch::in(std::string what) {
  const std::lock_guard lock(mutex_);
  ++at_.done;
  at_.what = std::move(what);
}

void Watch::follow(Where where) {
  const std::lock_guard lock(mutex_);
  where_ = std::move(where);
}

Progress Watch::here() {
  const std::lock_guard lock(mutex_);
  if (where_) where_(at_.done, at_.what);
  return at_;
}

void Watch::check(double seconds) {
  std::string lost;
  {
    const std::lock_guard lock(mutex_);
    lost = lost_;
  }
  if (!lost.empty()) throw LostRank(lost + "; this rank waits in " + show(here()));
  if (seconds <= timeout_) return;
  char text[64];
  std::snprintf(text, sizeof text, "%g s (--timeout)", timeout_);
  throw LostRank(store_.suspect() + ", has been missing for " + text + "; this rank waits in " + show(here()));
}

std::string Watch::verdict() {
  const Progress at = here();
  std::string lost = store_.report(at);
  if (lost.empty()) lost = store_.suspect() + ", is the likely reason";
  return lost + "; this rank is in " + show(at);
}

void Watch::work() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    lock.unlock();
    const std::string lost = store_.report(here());
    lock.lock();
    if (lost_.empty()) lost_ = lost;
    changed_.wait_for(lock, kReportPeriod, [this] { return stop_; });
  }
}

}  // namespace moproc::comm
