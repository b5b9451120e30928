// The control plane between ranks. Rank 0 listens on a TCP port, keeps a few texts by name, gathers texts of all ranks,
// and knows how far each rank has come. It serves the beginning of a run, its signals and its faults; the data of a
// step do not go through it.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "comm/socket.h"

namespace moproc::comm {

/// Another rank died, hangs or gave up. what() names it, its host, and the step and collective in which it is missing.
/// This process cannot continue; the run can be resumed from its last checkpoint.
class LostRank : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// How far a rank has come: its step, how many collectives have ended so far, and the next one.
struct Progress {
  int64_t step = -1;  // -1: before the first
  int64_t done = 0;
  std::string what;
};

/// "step 12, all_reduce of x", "the beginning".
std::string show(const Progress& at);

/// Thread-safe. All functions except report() and give_up() throw LostRank if rank 0 has gone, or if another rank has
/// gone for which they wait.
class Store {
 public:
  virtual ~Store() = default;
  virtual void set(const std::string& key, const std::string& value) = 0;
  /// Waits until a rank has set this name, and returns its text.
  virtual std::string get(const std::string& key) = 0;
  /// Returns every rank's text, in the order of the ranks. All ranks must call it with the same `what`s in the same
  /// order, each from one thread. Throws LostRank if a rank dies, gives up or does not call within the time-out.
  virtual std::vector<std::string> gather(const std::string& what, const std::string& own) = 0;
  /// Reports how far this rank has come. Returns which rank was lost, and how; "" if none was.
  virtual std::string report(const Progress& at) = 0;
  /// The other rank whose last report is oldest or, if all report in time, that is furthest behind.
  virtual std::string suspect() = 0;
  /// Tells the other ranks why this one ends early. Does not wait for them.
  virtual void give_up(const std::string& why) noexcept = 0;
  /// The port that rank 0 listens on.
  virtual int port() const = 0;
};

/// Rank 0 listens. All others connect, retrying for `timeout` seconds, and identify themselves: rank 0 refuses a rank
/// that is connected already or whose run has another number of ranks. Throws InputError (refused, or the port is
/// taken) and LostRank (rank 0 does not answer), naming host, port and remedy.
std::unique_ptr<Store> make_store(const StoreAddress& address, int rank, int ranks, double timeout);

}  // namespace moproc::comm
