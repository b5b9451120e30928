// Tells the others, once a second, where this rank is, and hears from them who was lost: for communicators that cannot
// see that themselves, since a network or a GPU is between the ranks.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "comm/store.h"

namespace moproc::comm {

/// Thread safe.
class Watch {
 public:
  /// `timeout`: seconds that a rank may be missed.
  Watch(Store& store, double timeout);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  /// Which step of the run follows, and which collective.
  void at_step(int64_t step);
  void in(std::string what);
  /// Where within the step this rank is, for whoever knows better than in(): asked by the watch's thread until nothing
  /// is set.
  using Where = std::function<void(int64_t& done, std::string& what)>;
  void follow(Where where);

  /// For a rank that has been waiting for `seconds`: throws LostRank when somebody was lost, or when that is too long.
  void check(double seconds);
  /// Who was lost, or who is the most likely reason why a collective failed; with where this rank is.
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
