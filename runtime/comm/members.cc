// Only the first loss is kept, because it explains all that follow from it.
#include "comm/members.h"

#include <unistd.h>

#include <tuple>

namespace moproc::comm {

std::string show(const Progress& at) {
  if (at.step < 0) return at.what.empty() ? "the beginning" : at.what;
  return "step " + std::to_string(at.step) + ", " + (at.what.empty() ? "no collective yet" : at.what);
}

Identity this_process() {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  return {getpid(), host};
}

Members::Members(int ranks, const Identity& first) : members_(static_cast<size_t>(ranks)) { arrived(0, first); }

void Members::arrived(int rank, const Identity& who) {
  Member& m = members_[static_cast<size_t>(rank)];
  m = {State::here, who, {}, Clock::now()};
}

void Members::reported(int rank, const Progress& at) {
  Member& m = members_[static_cast<size_t>(rank)];
  m.at = at;
  m.heard = Clock::now();
}

void Members::disconnected(int rank) {
  if (members_[static_cast<size_t>(rank)].state == State::here && lost_.empty())
    lost_ = who(rank) + " has died in " + place(rank);
}

void Members::gave_up(int rank, const std::string& why) {
  if (lost_.empty()) lost_ = who(rank) + " gave up: " + why;
  left(rank);
}

std::string Members::who(int rank) const {
  const Member& m = members_[static_cast<size_t>(rank)];
  const std::string name = "rank " + std::to_string(rank);
  return m.state == State::awaited ? name : name + " (process " + std::to_string(m.who.pid) + " on " + m.who.host + ")";
}

std::string Members::suspect(int asking) const {
  constexpr double kSilent = 3;  // seconds; reports come every second at the latest
  int worst = -1;
  const auto key = [&](int r) {
    const Member& m = members_[static_cast<size_t>(r)];
    const bool silent = std::chrono::duration<double>(Clock::now() - m.heard).count() > kSilent;
    return std::tuple(m.state == State::awaited ? 0 : silent ? 1 : 2, m.at.step, m.at.done);
  };
  for (int r = 0; r < static_cast<int>(members_.size()); ++r)
    if (r != asking && (worst < 0 || key(r) < key(worst))) worst = r;
  if (worst < 0) return "nobody else";
  return who(worst) + (std::get<0>(key(worst)) == 0 ? ", which has never connected" : ", last seen in " + place(worst));
}

}  // namespace moproc::comm
