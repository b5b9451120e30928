// What the ranks of a run do together with the data of a step, in the memory of their device. Surprising: the order of
// additions is ours (a balanced tree over the ranks), so that results depend neither on a library nor on the number of
// ranks; NCCL alone has its own, unless it is asked for ours.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "comm/store.h"

namespace moproc::comm {

/// Every rank calls the same collectives in the same order, one thread at a time. On the CPU they return when they are
/// done; on a GPU they are put on a stream (cuda/nccl.h). All throw LostRank.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual const char* name() const = 0;  // "shm", "mpi", "nccl"
  virtual int rank() const = 0;
  virtual int ranks() const = 0;

  /// to[i] = the sum of all ranks' from[i]; to may be from. `what` names the tensor, for messages.
  virtual void all_reduce(const char* what, const float* from, float* to, int64_t n) = 0;
  /// to = all ranks' `bytes` bytes in the order of the ranks; `from` may be where they belong in `to`.
  virtual void all_gather(const char* what, const std::byte* from, std::byte* to, int64_t bytes) = 0;
  /// data = what `root` has there.
  virtual void broadcast(const char* what, std::byte* data, int64_t bytes, int root) = 0;

  /// Which step of the run follows: what others are told when this rank is missed.
  virtual void at_step(int64_t) {}
  /// Tells the others, without waiting for them, why this rank ends early.
  virtual void give_up(const std::string&) noexcept {}
};

/// The sum of x[0] .. x[n - 1] at each position in the order that all reductions have: the left half of the tree is the
/// largest power of two below n.
void tree_sum(std::span<const float* const> x, float* to, int64_t n);

}  // namespace moproc::comm
