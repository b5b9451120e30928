// How ranks meet: rank 0 opens the store and publishes the name of the shared memory there, and removes the name when
// all ranks have mapped the memory.
#include "comm/world.h"

#include "comm/mpi.h"
#include "comm/shm.h"
#include "core/error.h"

namespace moproc::comm {
namespace {

constexpr char kBetween = '\x1f';  // separates values of settings

std::unique_ptr<Communicator> meet_in_memory(const Launch& launch, double timeout, Store& store) {
  std::string name;
  if (launch.rank != 0) name = store.get("shm");
  auto made = make_shm({launch.rank, launch.ranks, timeout}, name);
  if (launch.rank != 0) {
    store.gather("shared memory", "");
    return made;
  }
  store.set("shm", name);
  try {
    store.gather("shared memory", "");
  } catch (...) {
    unlink_shm(name);
    throw;
  }
  unlink_shm(name);
  return made;
}

}  // namespace

const char* name_of(Carrier carrier) {
  constexpr const char* kNames[] = {"shm", "mpi", "nccl"};
  return kNames[static_cast<int>(carrier)];
}

World::World(const Launch& launch, double timeout, Carrier carrier) : launch_(launch), carrier_(carrier) {
  store_ = make_store(launch.master, launch.rank, launch.ranks, timeout);
  watch_ = std::make_unique<Watch>(*store_, timeout);
  agree({{"--dist-backend", name_of(carrier)}});
  if (carrier == Carrier::nccl) return;
  communicator_ =
      carrier == Carrier::mpi ? make_mpi(launch.rank, launch.ranks, *watch_) : meet_in_memory(launch, timeout, *store_);
  queue_ = std::make_unique<Queue>(*communicator_);
}

World::~World() = default;

void World::at_step(int64_t step) {
  watch_->at_step(step);
  if (communicator_) communicator_->at_step(step);
}

void World::give_up(const std::string& why) noexcept {
  if (communicator_) communicator_->give_up(why);
  store_->give_up(why);
}

void World::agree(const std::vector<std::pair<std::string, std::string>>& fields) {
  std::string own;
  for (const auto& [field, value] : fields) own += value + kBetween;
  const std::vector<std::string> all = exchange("settings", own);
  const auto values = [](const std::string& text) {
    std::vector<std::string> list;
    for (size_t at = 0; at < text.size();) {
      const size_t end = text.find(kBetween, at);
      list.push_back(text.substr(at, end - at));
      at = end + 1;
    }
    return list;
  };
  const std::vector<std::string> first = values(all[0]);
  for (size_t r = 1; r < all.size(); ++r) {
    const std::vector<std::string> other = values(all[r]);
    if (other.size() != first.size() || first.size() != fields.size())
      throw InputError("rank 0 and rank " + std::to_string(r) + " are of different builds");
    for (size_t i = 0; i < first.size(); ++i)
      if (other[i] != first[i])
        throw InputError("the ranks disagree about the " + fields[i].first + ": rank 0 has " + first[i] + ", rank " +
                         std::to_string(r) + " has " + other[i]);
  }
}

}  // namespace moproc::comm
