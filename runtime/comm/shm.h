// Collectives between ranks on one machine, through shared memory: one slot per rank, and counters that show how far
// each rank has come.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "comm/communicator.h"

namespace moproc::comm {

struct ShmOptions {
  int rank = 0, ranks = 1;
  double timeout = 600;  // seconds without progress after which a rank counts as lost
};

/// Rank 0 makes a new segment called `name`; if `name` is empty, it chooses one and stores it there. All other ranks
/// attach to the segment of that name. The segment is freed when the last rank ends, even if it is killed. Throws
/// InputError (no memory, no such segment).
std::unique_ptr<Communicator> make_shm(const ShmOptions& options, std::string& name);

/// Removes the segment's name, so that nothing is left in /dev/shm. Rank 0 calls it once every rank is attached.
void unlink_shm(const std::string& name);

/// The same for ranks that are threads of one process. `memory`: shm_bytes(ranks) zero bytes that outlive all of them.
inline constexpr size_t kShmAlignment = 128;
size_t shm_bytes(int ranks);
std::unique_ptr<Communicator> make_shm_in(void* memory, const ShmOptions& options);

}  // namespace moproc::comm
