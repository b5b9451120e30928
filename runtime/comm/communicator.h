// What the ranks of a run do together with host memory, and how they learn that one of them is gone. Surprising: the order
// of additions is ours (a balanced tree over the ranks), never the library's, so that results do not depend on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace moproc::comm {

/// Another rank died, hangs or gave up. what() names it, its host, and the step and collective it was missed in. The process
/// cannot go on; a run can, from its last checkpoint.
class LostRank : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Blocking collectives: every rank calls the same ones in the same order. One thread at a time. All throw LostRank.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual const char* name() const = 0;  // "shm", "mpi"
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
  virtual void give_up(const std::string& why) noexcept = 0;
};

/// Every rank's text, in the order of the ranks.
std::vector<std::string> exchange(Communicator& c, const char* what, const std::string& own);

/// The sum of x[0] .. x[n - 1] at each position in the order that all reductions have: the left half of the tree is the
/// largest power of two below n.
void tree_sum(std::span<const float* const> x, float* to, int64_t n);

}  // namespace moproc::comm
