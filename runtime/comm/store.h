// Where ranks meet and learn about each other: rank 0 listens on a TCP port, keeps a few texts by name, gathers texts
// of all ranks, and knows who is where. For the beginning of a run, its signals and its faults; nothing of a step
// travels here.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "comm/socket.h"

namespace moproc::comm {

/// Another rank died, hangs or gave up. what() names it, its host, and the step and collective it was missed in. The
/// process cannot go on; a run can, from its last checkpoint.
class LostRank : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Where in a run a rank is: the step, how many collectives of it have ended, and the one that follows.
struct Progress {
  int64_t step = -1;  // -1: before the first
  int64_t done = 0;
  std::string what;
};

/// "step 12, all_reduce of x", "the beginning".
std::string show(const Progress& at);

/// Thread safe. All but report() and give_up() throw LostRank when rank 0 or, where they wait for others, another has
/// gone.
class Store {
 public:
  virtual ~Store() = default;
  virtual void set(const std::string& key, const std::string& value) = 0;
  /// Waits until somebody has set it.
  virtual std::string get(const std::string& key) = 0;
  /// Every rank's text, in the order of the ranks; all call it with the same `what`s in the same order, by one thread.
  /// Throws LostRank when one of them dies, gives up or does not come within the time-out.
  virtual std::vector<std::string> gather(const std::string& what, const std::string& own) = 0;
  /// Tells where this rank is. Returns who was lost and how; "" while nobody is.
  virtual std::string report(const Progress& at) = 0;
  /// Which other rank has not been heard of for longest or, when all are well, is furthest behind.
  virtual std::string suspect() = 0;
  /// Tells the others, without waiting for them, why this rank ends early.
  virtual void give_up(const std::string& why) noexcept = 0;
  /// The port that rank 0 listens on.
  virtual int port() const = 0;
};

/// Rank 0 listens; all others connect, trying again for `timeout` seconds, and say who they are: a rank that is there
/// already, or of a run of another size, is refused. Throws InputError (that, or the port cannot be had) and LostRank
/// (rank 0 does not answer), naming host, port and remedy.
std::unique_ptr<Store> make_store(const StoreAddress& address, int rank, int ranks, double timeout);

}  // namespace moproc::comm
