// The collective steps of a program on a GPU: on a stream of their own, beside what is computed, and parts of the
// captured graph like everything else. Surprising: gathers that are neighbours are one message, put on the stream with
// the first.
#pragma once

#include <atomic>
#include <memory>

#include "comm/world.h"
#include "core/plan.h"
#include "cuda/gpu.h"
#include "cuda/handles.h"
#include "cuda/kernels.h"
#include "cuda/nccl.h"

namespace moproc::cuda {

class Collectives {
 public:
  /// Waits for all ranks. `arenas` by Arena. `in_order`: sums have the order that they have on the CPU, not NCCL's.
  /// Throws InputError (no NCCL, an artefact without the kernel for sums in order), comm::LostRank.
  Collectives(const Driver& driver, const Gpu& gpu, const Plan& plan, const Kernels& kernels,
              const DevicePtr (&arenas)[4], comm::World& world, bool in_order);
  ~Collectives();
  Collectives(const Collectives&) = delete;
  Collectives& operator=(const Collectives&) = delete;

  /// Puts a step that is no launch and no copy on `compute` and the own stream: begins a collective, or waits for all
  /// begun.
  void enqueue(int program, int step, StreamHandle compute) const;
  /// Lets `compute` wait for all that was begun.
  void await(StreamHandle compute) const;
  /// The next run is of this program: what others are told of it.
  void at_program(int program) { program_ = program; }
  /// The tensor is rank 0's on all ranks, when it returns.
  void from_first_rank(int tensor);
  /// Waits for an event, unless a rank is lost: then throws comm::LostRank.
  void wait(EventHandle event);

 private:
  DevicePtr address(int tensor) const;
  int64_t staging_bytes() const;
  int64_t gathered_bytes() const;
  RankSums sums_in_order() const;
  void tell(int done) const;
  void gather(const ProgramInfo& p, int first, int end) const;
  void where(int64_t& done, std::string& what) const;

  const Driver& driver_;
  const Gpu& gpu_;
  const Plan& plan_;
  const Kernels& kernels_;
  comm::World& world_;
  DevicePtr arenas_[4];
  Stream stream_;
  Event ready_, done_;
  PinnedMemory progress_;  // i32: how many collectives of the running program have ended
  Memory numbers_;         // i32: 0, 1, 2, ...: where progress_ comes from
  Memory staging_;         // of sums in order
  Memory gathered_;        // of messages that hold several gathers
  std::atomic<int> program_{-1};
  std::unique_ptr<NcclCommunicator> nccl_;
};

}  // namespace moproc::cuda
