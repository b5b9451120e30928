// The collective steps of a program on a GPU. They run on their own stream, concurrently with the kernels, and are
// captured into the program's graph. Surprising: consecutive gathers are sent as one message, which is enqueued with
// the first of them.
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
  /// Waits for all ranks. `arenas` is indexed by Arena. `in_order`: sums are added in the CPU's order, not NCCL's.
  /// Throws InputError (no NCCL, or an artefact without the kernel for sums in order) and comm::LostRank.
  Collectives(const Driver& driver, const Gpu& gpu, const Plan& plan, const Kernels& kernels,
              const DevicePtr (&arenas)[4], comm::World& world, bool in_order);
  ~Collectives();
  Collectives(const Collectives&) = delete;
  Collectives& operator=(const Collectives&) = delete;

  /// Enqueues a step that is neither a launch nor a copy, on `compute` and on the collectives' stream: begins a
  /// collective, or waits for all collectives that were begun.
  void enqueue(int program, int step, StreamHandle compute) const;
  /// Makes the stream `compute` wait for all collectives that were begun.
  void await(StreamHandle compute) const;
  /// Sets the program of the next run, which reports to the other ranks name.
  void at_program(int program) { program_ = program; }
  /// Replaces the tensor on every rank by rank 0's; returns when that is complete.
  void from_first_rank(int tensor);
  /// Waits for an event. Throws comm::LostRank if a rank is lost meanwhile.
  void wait(EventHandle event);

 private:
  void connect();
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
  PinnedMemory progress_;  // i32: number of collectives of the running program that have ended
  Memory numbers_;         // i32 0, 1, 2, ...: the source of the copies to progress_
  Memory staging_;         // for sums in order
  Memory gathered_;        // for messages that hold several gathers
  std::atomic<int> program_{-1};
  std::unique_ptr<NcclCommunicator> nccl_;
};

}  // namespace moproc::cuda
