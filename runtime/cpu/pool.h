// A thread pool for launches of a few microseconds to a few milliseconds. Workers claim ranges of tasks that get
// smaller towards the end, so a core that another process takes costs little. A waiting thread spins briefly, then
// sleeps on a futex.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace moproc {

/// Runs the body of a job over a range of tasks: context, first task, end, and number of the thread (0 is the caller).
using PoolBody = void (*)(void* context, int64_t begin, int64_t end, int thread);

/// Runs one job at a time, started by one thread at a time; that thread also works.
class Pool {
 public:
  /// `threads`: number of threads including the caller, at least 1. Throws std::system_error if a thread cannot be
  /// started.
  explicit Pool(int threads);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Runs body for each task in [0, tasks) once, and returns when all have ended. If a body throws, the ranges that are
  /// already claimed still finish, no other range starts, and the first exception is rethrown. A single task runs on
  /// the caller.
  void run(int64_t tasks, PoolBody body, void* context);

  /// The same with a callable that takes (begin, end, thread).
  template <class F>
  void run(int64_t tasks, F&& f) {
    run(
        tasks, [](void* c, int64_t b, int64_t e, int t) { (*static_cast<std::remove_reference_t<F>*>(c))(b, e, t); },
        const_cast<void*>(static_cast<const void*>(&f)));
  }

 private:
  void work(int thread);
  void take_ranges(int thread);
  uint32_t abandon_rest(uint32_t tasks);
  void wait_done(uint32_t tasks);
  void stop();

  // The job. `claim_` is (number of the job << 32 | next task), so a claimed range belongs to the job that was read;
  // between jobs the low half is kClosed. The fields below it change only while it is closed.
  alignas(64) std::atomic<uint64_t> claim_;
  alignas(64) std::atomic<uint32_t> job_{0};   // futex of the workers
  alignas(64) std::atomic<uint32_t> done_{0};  // tasks ended; futex of the caller
  alignas(64) std::atomic<PoolBody> body_{nullptr};
  std::atomic<void*> context_{nullptr};
  std::atomic<uint32_t> tasks_{0};
  std::atomic<int> sleepers_{0};
  std::atomic<bool> caller_sleeps_{false};
  std::atomic<bool> stop_{false};
  std::mutex error_mutex_;
  std::exception_ptr error_;
  std::vector<std::thread> workers_;
};

}  // namespace moproc
