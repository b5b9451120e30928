// Ranks on one machine, through shared memory: a slot a rank, and counters that say how far each has come.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "comm/communicator.h"

namespace moproc::comm {

struct ShmOptions {
  int rank = 0, ranks = 1;
  double timeout = 600;  // seconds that a rank may be missed before it counts as lost
};

/// Rank 0 makes a new segment called `name`, or, where that is empty, by a new one that is then in `name`; all others
/// attach to the one of that name, which is as old as the run. The segment goes when the last rank ends, however it
/// ends. Throws InputError (no memory, no such segment).
std::unique_ptr<Communicator> make_shm(const ShmOptions& options, std::string& name);

/// Takes the name away once every rank is attached: nothing is left behind in /dev/shm. By rank 0.
void unlink_shm(const std::string& name);

/// The same over `memory`, shm_bytes(ranks) zeros that outlive all of them: for ranks that are threads of one process.
inline constexpr size_t kShmAlignment = 128;
size_t shm_bytes(int ranks);
std::unique_ptr<Communicator> make_shm_in(void* memory, const ShmOptions& options);

}  // namespace moproc::comm
