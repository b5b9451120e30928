// Reports to rank 0 every Watch::kReportPeriod where this rank is, and learns from the answer which rank was lost. For
// communicators that cannot see that themselves because a network or a GPU is between the ranks.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "comm/store.h"

namespace moproc::comm {

/// Thread-safe.
class Watch {
 public:
  /// How long the watch waits after one report before it makes the next.
  static constexpr std::chrono::milliseconds kReportPeriod{500};

  /// `timeout`: after so many seconds without a report, a rank counts as lost.
  Watch(Store& store, double timeout);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  /// This rank begins step `step` of the run.
  void at_step(int64_t step);
  /// This rank begins the collective `what`.
  void in(std::string what);
  /// Sets a function that knows better than in() which collective this rank has reached; an empty one unsets it. The
  /// watch's thread calls it before every report.
  using Where = std::function<void(int64_t& done, std::string& what)>;
  void follow(Where where);

  /// To be called by a rank that has been waiting for `seconds`. Throws LostRank if a rank was lost, or if `seconds` is
  /// more than the timeout.
  void check(double seconds);
  /// Text for a collective that failed: which rank was lost, or which one is the most likely reason, and where this
  /// rank is.
  std::string verdict();

 private:
  void work();
  Progress here();

  Store& store_;
  const double timeout_;
  std::mutex mutex_;  // guards the following
  std::condition_variable changed_;
  Progress at_;
  Where where_;
  std::string lost_;
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace moproc::comm
