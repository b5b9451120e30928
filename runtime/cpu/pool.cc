// The protocol is in pool.h. A worker that wakes up too late for a job never delays it, because the caller waits for
// the claimed tasks, not for the workers.
#include "cpu/pool.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <stdexcept>

namespace moproc {
namespace {

constexpr uint32_t kClosed = UINT32_MAX;
constexpr int kSpins = 4000;  // about 50 us: longer than the gap between two launches, shorter than a time slice

void futex_wait(std::atomic<uint32_t>& word, uint32_t expected) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT_PRIVATE, expected, nullptr, nullptr, 0);
}

void futex_wake(std::atomic<uint32_t>& word, int count) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE_PRIVATE, count, nullptr, nullptr, 0);
}

void relax() { __builtin_ia32_pause(); }

}  // namespace

Pool::Pool(int threads) : claim_(kClosed) {
  if (threads < 1) throw std::invalid_argument("a pool needs at least one thread");
  try {
    for (int t = 1; t < threads; ++t) workers_.emplace_back([this, t] { work(t); });
  } catch (...) {
    stop();
    throw;
  }
}

Pool::~Pool() { stop(); }

void Pool::stop() {
  stop_ = true;
  job_.fetch_add(1);
  futex_wake(job_, INT_MAX);
  for (std::thread& w : workers_) w.join();
  workers_.clear();
}

void Pool::run(int64_t tasks, PoolBody body, void* context) {
  if (tasks <= 0) return;
  if (tasks == 1 || workers_.empty()) {
    body(context, 0, tasks, 0);
    return;
  }
  if (tasks >= kClosed) throw std::invalid_argument("a job of 2^32 or more tasks");
  const uint32_t n = static_cast<uint32_t>(tasks);
  body_.store(body, std::memory_order_relaxed);
  context_.store(context, std::memory_order_relaxed);
  tasks_.store(n, std::memory_order_relaxed);
  done_.store(0, std::memory_order_relaxed);
  const uint32_t number = job_.load(std::memory_order_relaxed) + 1;
  claim_.store(uint64_t{number} << 32, std::memory_order_release);
  job_.store(number);  // seq_cst, like sleepers_: either this thread sees the sleeper, or the sleeper sees the job
  if (sleepers_.load() > 0) futex_wake(job_, static_cast<int>(std::min<int64_t>(tasks - 1, INT_MAX)));
  take_ranges(0);
  wait_done(n);
  claim_.store(uint64_t{number} << 32 | kClosed);
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

/// Claims and runs ranges until none is left. A range is half of a thread's fair share of the remaining tasks, so
/// ranges are large at first and single tasks at the end.
void Pool::take_ranges(int thread) {
  uint64_t seen = claim_.load(std::memory_order_acquire);
  for (;;) {
    const uint32_t next = static_cast<uint32_t>(seen);
    const uint32_t tasks = tasks_.load(std::memory_order_relaxed);
    if (next >= tasks) return;
    const PoolBody body = body_.load(std::memory_order_relaxed);
    void* const context = context_.load(std::memory_order_relaxed);
    const uint32_t share = std::max<uint32_t>(1, (tasks - next) / (2 * static_cast<uint32_t>(threads())));
    if (!claim_.compare_exchange_weak(seen, seen + share, std::memory_order_acq_rel)) continue;
    uint32_t ended = share;
    try {
      body(context, next, next + share, thread);
    } catch (...) {
      const std::lock_guard lock(error_mutex_);
      if (!error_) error_ = std::current_exception();
      ended += abandon_rest(tasks);
    }
    if (done_.fetch_add(ended) + ended == tasks && caller_sleeps_.load()) futex_wake(done_, 1);
    seen = claim_.load(std::memory_order_acquire);
  }
}

/// After a failure: claims all tasks that are not yet claimed and returns their number.
uint32_t Pool::abandon_rest(uint32_t tasks) {
  uint64_t seen = claim_.load(std::memory_order_acquire);
  for (;;) {
    const uint32_t next = static_cast<uint32_t>(seen);
    if (next >= tasks) return 0;
    if (claim_.compare_exchange_weak(seen, seen + (tasks - next), std::memory_order_acq_rel)) return tasks - next;
  }
}

void Pool::wait_done(uint32_t tasks) {
  for (int spin = 0; spin < kSpins; ++spin) {
    if (done_.load(std::memory_order_acquire) == tasks) return;
    relax();
  }
  caller_sleeps_ = true;
  for (uint32_t seen; (seen = done_.load()) != tasks;) futex_wait(done_, seen);
  caller_sleeps_ = false;
}

void Pool::work(int thread) {
  uint32_t last = 0;
  while (!stop_.load()) {
    for (int spin = 0; spin < kSpins && job_.load(std::memory_order_acquire) == last; ++spin) relax();
    if (job_.load() == last) {
      sleepers_.fetch_add(1);
      while (job_.load() == last && !stop_.load()) futex_wait(job_, last);
      sleepers_.fetch_sub(1);
    }
    last = job_.load(std::memory_order_acquire);
    if (!stop_.load()) take_ranges(thread);
  }
}

}  // namespace moproc
