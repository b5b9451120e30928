// A rank and its links to the others: the store, the communicator for the data of a step, and the background queue and
// watch.
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

/// What carries the data of a step: shared memory on one machine, Open MPI, or NCCL, which the GPU's device owns
/// (cuda/nccl.h).
enum class Carrier { shm, mpi, nccl };
const char* name_of(Carrier carrier);

class World {
 public:
  /// Connects to the other ranks and returns when all are there. Throws InputError if they are not within `timeout`
  /// seconds.
  World(const Launch& launch, double timeout, Carrier carrier = Carrier::shm);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  int rank() const { return launch_.rank; }
  int ranks() const { return launch_.ranks; }
  const Launch& launch() const { return launch_; }
  Carrier carrier() const { return carrier_; }
  /// Collectives on host memory; there is none with Carrier::nccl.
  Communicator& communicator() { return *communicator_; }
  Queue& queue() { return *queue_; }
  Store& store() { return *store_; }
  Watch& watch() { return *watch_; }

  /// This rank begins step `step` of the run. If the rank is lost, the others' messages name this step.
  void at_step(int64_t step);
  /// Tells the other ranks why this one ends early. Does not wait for them.
  void give_up(const std::string& why) noexcept;

  /// Returns every rank's text, in the order of the ranks. All ranks must call it.
  std::vector<std::string> exchange(const std::string& what, const std::string& own) {
    return store_->gather(what, own);
  }
  /// Returns rank 0's text. All ranks must call it.
  std::string from_first(const std::string& what, const std::string& own) {
    return exchange(what, rank() == 0 ? own : "")[0];
  }
  /// Throws InputError on all ranks, naming the field and both values, if a field differs between ranks.
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
