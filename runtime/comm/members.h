// Rank 0's table of all ranks of a run: which process each is, how far it has come, and which rank was lost first.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "comm/store.h"

namespace moproc::comm {

/// How messages name a process.
struct Identity {
  int pid = 0;
  std::string host;
};
Identity this_process();

/// Not thread safe.
class Members {
 public:
  Members(int ranks, const Identity& first);

  bool is_here(int rank) const { return members_[static_cast<size_t>(rank)].state != State::awaited; }
  void arrived(int rank, const Identity& who);
  /// The rank has ended normally.
  void left(int rank) { members_[static_cast<size_t>(rank)].state = State::left; }
  void reported(int rank, const Progress& at);
  /// The rank's connection broke: it counts as lost unless it had ended normally.
  void disconnected(int rank);
  void gave_up(int rank, const std::string& why);

  /// Which rank was lost first, and how; "" if none was.
  const std::string& lost() const { return lost_; }
  /// "rank 3 (process 5 on host)".
  std::string who(int rank) const;
  std::string place(int rank) const { return show(members_[static_cast<size_t>(rank)].at); }
  /// Store::suspect() for the rank `asking`.
  std::string suspect(int asking) const;

 private:
  using Clock = std::chrono::steady_clock;
  enum class State { awaited, here, left };
  struct Member {
    State state = State::awaited;
    Identity who;
    Progress at;
    Clock::time_point heard;
  };
  std::vector<Member> members_;
  std::string lost_;
};

}  // namespace moproc::comm
