// A rank with what it needs to talk to the others: where they met, how they talk, and what goes on in the background.
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

namespace moproc::comm {

class World {
 public:
  /// Meets the other ranks: returns when all are there. Throws InputError when they cannot meet within `timeout` seconds.
  World(const Launch& launch, double timeout);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  int rank() const { return launch_.rank; }
  int ranks() const { return launch_.ranks; }
  const Launch& launch() const { return launch_; }
  Communicator& communicator() { return *communicator_; }
  Queue& queue() { return *queue_; }

  /// Every rank's text, in the order of the ranks. Nothing may be under way.
  std::vector<std::string> exchange(const char* what, const std::string& own) { return comm::exchange(*communicator_, what, own); }
  /// Rank 0's text.
  std::string from_first(const char* what, const std::string& own) { return exchange(what, rank() == 0 ? own : "")[0]; }
  /// Throws InputError on all ranks, naming a field and both values, unless each field is the same for all.
  void agree(const std::vector<std::pair<std::string, std::string>>& fields);

 private:
  Launch launch_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Communicator> communicator_;
  std::unique_ptr<Queue> queue_;
};

}  // namespace moproc::comm
