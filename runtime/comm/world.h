// A rank with what it needs to talk to the others: where they met, what carries the data of a step, and what goes on in
// the background.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "comm/communicator.h"
#include "comm/launch.h"
#include "comm/queue.h"
#include "comm/store.h"
#include "comm/watch.h"

namespace moproc::comm {

/// What carries the data of a step: shared memory of one machine; Open MPI; NCCL, which belongs to the GPU
/// (cuda/nccl.h).
enum class Carrier { shm, mpi, nccl };
const char* name_of(Carrier carrier);

class World {
 public:
  /// Meets the other ranks: returns when all are there. Throws InputError when they cannot meet within `timeout`
  /// seconds.
  World(const Launch& launch, double timeout, Carrier carrier = Carrier::shm);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  int rank() const { return launch_.rank; }
  int ranks() const { return launch_.ranks; }
  const Launch& launch() const { return launch_; }
  Carrier carrier() const { return carrier_; }
  /// Collectives of host memory; none where Carrier::nccl is.
  Communicator& communicator() { return *communicator_; }
  Queue& queue() { return *queue_; }
  Store& store() { return *store_; }
  Watch& watch() { return *watch_; }

  /// Which step of the run follows: what others are told when this rank is missed.
  void at_step(int64_t step);
  /// Tells the others, without waiting for them, why this rank ends early.
  void give_up(const std::string& why) noexcept;

  /// Every rank's text, in the order of the ranks.
  std::vector<std::string> exchange(const std::string& what, const std::string& own) {
    return store_->gather(what, own);
  }
  /// Rank 0's text.
  std::string from_first(const std::string& what, const std::string& own) {
    return exchange(what, rank() == 0 ? own : "")[0];
  }
  /// Throws InputError on all ranks, naming a field and both values, unless each field is the same for all.
  void agree(const std::vector<std::pair<std::string, std::string>>& fields);

 private:
  Launch launch_;
  const Carrier carrier_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Watch> watch_;
  std::unique_ptr<Communicator> communicator_;
  std::unique_ptr<Queue> queue_;
};

}  // namespace moproc::comm
