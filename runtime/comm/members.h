// What rank 0 knows of all ranks of a run: who they are, where they are, and the first of them that was lost.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "comm/store.h"

namespace moproc::comm {

/// A process as messages name it.
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
  /// Ends as it should.
  void left(int rank) { members_[static_cast<size_t>(rank)].state = State::left; }
  void reported(int rank, const Progress& at);
  /// Its connection broke: lost, unless it had left.
  void disconnected(int rank);
  void gave_up(int rank, const std::string& why);

  /// Who was lost first and how; "" while nobody is.
  const std::string& lost() const { return lost_; }
  /// "rank 3 (process 5 on host)".
  std::string who(int rank) const;
  std::string place(int rank) const { return show(members_[static_cast<size_t>(rank)].at); }
  /// Store::suspect(), asked by `asking`.
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
