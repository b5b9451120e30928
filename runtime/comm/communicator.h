// The collectives of a step, on tensors in the memory of the ranks' devices. Surprising: sums are added in a fixed
// order (a balanced tree over the ranks), so results depend neither on the library nor on the number of ranks. Only
// NCCL adds in its own order, unless --deterministic asks for the fixed one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "comm/store.h"

namespace moproc::comm {

/// All ranks must call the same collectives in the same order, from one thread at a time. On the CPU a call returns
/// when the collective has ended; on a GPU it only enqueues the collective on a stream (cuda/nccl.h). All throw
/// LostRank.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual const char* name() const = 0;  // "shm", "mpi", "nccl"
  virtual int rank() const = 0;
  virtual int ranks() const = 0;

  /// to[i] = sum over the ranks of from[i], for n elements. `to` may be `from`. `what` names the tensor in messages.
  virtual void all_reduce(const char* what, const float* from, float* to, int64_t n) = 0;
  /// `to` receives `bytes` bytes from every rank, in the order of the ranks. `from` may already be this rank's place in
  /// `to`.
  virtual void all_gather(const char* what, const std::byte* from, std::byte* to, int64_t bytes) = 0;
  /// Replaces `data` on every rank by that of rank `root`.
  virtual void broadcast(const char* what, std::byte* data, int64_t bytes, int root) = 0;

  /// This rank begins step `step` of the run. If the rank is lost, the others' messages name this step.
  virtual void at_step(int64_t) {}
  /// Tells the other ranks why this one ends early. Does not wait for them.
  virtual void give_up(const std::string&) noexcept {}
};

/// Element-wise sum of x[0] .. x[n - 1], in the order of all reductions: a balanced tree whose left half has as many
/// operands as the largest power of two below n.
void tree_sum(std::span<const float* const> x, float* to, int64_t n);

}  // namespace moproc::comm
