// Collectives in the background: a thread runs them in the order in which they were begun while the caller computes.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

#include "comm/communicator.h"

namespace moproc::comm {

/// Not thread-safe: for one calling thread. Until wait() returns, only the queue may use the communicator.
class Queue {
 public:
  explicit Queue(Communicator& c);
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  /// Memory and names must stay valid until the next wait() has returned.
  void all_reduce(const char* what, const float* from, float* to, int64_t n);
  void all_gather(const char* what, const std::byte* from, std::byte* to, int64_t bytes);
  /// Returns when all begun collectives have ended. If one threw, this and every later call rethrow its exception.
  void wait();

  Communicator& communicator() { return c_; }
  /// Bytes that this rank has passed to collectives so far.
  int64_t bytes_sent() const { return bytes_; }
  /// Seconds spent in wait() so far.
  double seconds_waited() const { return waited_; }

 private:
  void begin(std::function<void()> job);
  void work();

  Communicator& c_;
  int64_t bytes_ = 0;
  double waited_ = 0;
  std::mutex mutex_;  // guards the following
  std::condition_variable begun_, ended_;
  std::deque<std::function<void()>> jobs_;
  bool busy_ = false, stop_ = false;
  std::exception_ptr error_;
  std::thread thread_;
};

}  // namespace moproc::comm
