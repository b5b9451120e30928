// Collectives between GPUs, by NVIDIA's NCCL. It is loaded when it is needed: MOPROC_NCCL, lib/ beside the binary, or
// the system's libnccl.so.2. Surprising: a call only enqueues work on a stream, so a thread that waits for that work
// must call check() meanwhile.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "comm/communicator.h"
#include "comm/world.h"
#include "cuda/function.h"
#include "cuda/handles.h"
#include "cuda/nccl_api.h"

namespace moproc::cuda {

/// The library. It is never unloaded, because its threads may run until the process ends. Throws InputError if there is
/// no library or it is too old, and if a call of one of its functions fails.
class Nccl {
 public:
  Nccl();
  Nccl(const Nccl&) = delete;
  Nccl& operator=(const Nccl&) = delete;

  static bool succeeded(NcclResult r) { return r == kNcclSuccess || r == kNcclInProgress; }
  [[noreturn]] void fail(const char* call, NcclResult r) const;

#define MOPROC_NCCL_MEMBER(name, symbol, parameters) FunctionOf<Nccl, NcclResult parameters> name;
  MOPROC_NCCL_FUNCTIONS(MOPROC_NCCL_MEMBER)
#undef MOPROC_NCCL_MEMBER

  const std::string& path() const { return path_; }
  /// "2.21.5".
  std::string show_version() const;
  /// "ncclAllReduce: unhandled system error".
  std::string describe(const char* call, NcclResult r) const;

 private:
  void open();

  void* library_ = nullptr;
  std::string path_;
  const char* (*error_text_)(NcclResult) = nullptr;
};

/// Enqueues on a stream: to = the sum of one row of n floats per rank, `stride` floats apart, in the order of
/// tree_sum().
using RankSums = std::function<void(DevicePtr rows, int64_t stride, DevicePtr to, int64_t n, StreamHandle stream)>;

/// Pointers are to device memory. Collectives are enqueued on the stream that the communicator was made for.
class NcclCommunicator : public comm::Communicator {
 public:
  /// Waits for all ranks. `use`: makes the GPU current on the calling thread. `sums`: adds in the fixed order, for
  /// all_reduce; empty: NCCL adds in its own order. `staging`: device memory for the fixed order, 64 bytes per rank
  /// larger than the largest operand. Throws InputError (no NCCL, or the ranks' versions differ) and LostRank.
  NcclCommunicator(comm::World& world, std::function<void()> use, StreamHandle stream, RankSums sums,
                   DevicePtr staging);
  ~NcclCommunicator() override;
  NcclCommunicator(const NcclCommunicator&) = delete;
  NcclCommunicator& operator=(const NcclCommunicator&) = delete;

  const char* name() const override { return "nccl"; }
  int rank() const override { return world_.rank(); }
  int ranks() const override { return world_.ranks(); }
  void all_reduce(const char* what, const float* from, float* to, int64_t n) override;
  void all_gather(const char* what, const std::byte* from, std::byte* to, int64_t bytes) override;
  void broadcast(const char* what, std::byte* data, int64_t bytes, int root) override;

  /// Must be called by a thread that has waited for the stream for `seconds`. If a rank was lost, aborts NCCL's work on
  /// the GPU, so that the GPU can be released, and throws LostRank.
  void check(double seconds);

 private:
  void meet(const std::function<void()>& use);
  void all_reduce_in_order(const float* from, float* to, int64_t n);

  Nccl nccl_;
  comm::World& world_;
  StreamHandle stream_;
  RankSums sums_;
  DevicePtr staging_;
  NcclComm comm_ = nullptr;
};

/// Floats per rank's part of an all_reduce in the fixed order: a multiple of 16, so that the parts are aligned.
int64_t rank_part(int64_t n, int ranks);

}  // namespace moproc::cuda
