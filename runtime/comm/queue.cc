// One thread, one list of jobs. After an error no further job runs, because the ranks no longer agree about the next
// one.
#include "comm/queue.h"

#include <chrono>
#include <utility>

namespace moproc::comm {

Queue::Queue(Communicator& c) : c_(c), thread_([this] { work(); }) {}

Queue::~Queue() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  begun_.notify_one();
  thread_.join();
}

void Queue::begin(std::function<void()> job) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  begun_.notify_one();
}

void Queue::all_reduce(const char* what, const float* from, float* to, int64_t n) {
  bytes_ += n * static_cast<int64_t>(sizeof(float));
  begin([=, this] { c_.all_reduce(what, from, to, n); });
}

void Queue::all_gather(const char* what, const std::byte* from, std::byte* to, int64_t bytes) {
  bytes_ += bytes;
  begin([=, this] { c_.all_gather(what, from, to, bytes); });
}

void Queue::wait() {
  const auto start = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  ended_.wait(lock, [this] { return error_ || (jobs_.empty() && !busy_); });
  waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (error_) std::rethrow_exception(error_);
}

void Queue::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    begun_.wait(lock, [this] { return stop_ || (!jobs_.empty() && !error_); });
    if (stop_) return;
    const std::function<void()> job = std::move(jobs_.front());
    jobs_.pop_front();
    busy_ = true;
    lock.unlock();
    std::exception_ptr error;
    try {
      job();
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    busy_ = false;
    if (error) error_ = error;
    if (error || jobs_.empty()) ended_.notify_all();
  }
}

}  // namespace moproc::comm
