// How ranks meet: rank 0 opens the store, says there where the shared memory is, and takes the name away when all are in.
#include "comm/world.h"

#include "comm/shm.h"
#include "core/error.h"

namespace moproc::comm {

World::World(const Launch& launch, double timeout) : launch_(launch) {
  store_ = make_store(launch.master, launch.rank, launch.ranks, timeout);
  std::string name;
  if (launch.rank != 0) name = store_->get("shm");
  communicator_ = make_shm({launch.rank, launch.ranks, timeout}, name);
  if (launch.rank == 0) store_->set("shm", name);
  try {
    exchange("the meeting", "");
  } catch (...) {
    if (launch.rank == 0) unlink_shm(name);
    throw;
  }
  if (launch.rank == 0) unlink_shm(name);
  queue_ = std::make_unique<Queue>(*communicator_);
}

World::~World() = default;

void World::agree(const std::vector<std::pair<std::string, std::string>>& fields) {
  for (const auto& [field, own] : fields) {
    const std::vector<std::string> all = exchange(field.c_str(), own);
    for (size_t r = 1; r < all.size(); ++r)
      if (all[r] != all[0])
        throw InputError("the ranks disagree about the " + field + ": rank 0 has " + all[0] + ", rank " + std::to_string(r) + " has " + all[r]);
  }
}

}  // namespace moproc::comm
