// Collectives between GPUs, by NVIDIA's NCCL: loaded when it is needed (MOPROC_NCCL, lib/ beside the binary, or the
// system's libnccl.so.2). Surprising: a call only puts work on a stream, so who waits for that work asks check()
// meanwhile.
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

/// The library, which stays loaded: threads of it may be busy to the end. Throws InputError when there is none or it is
/// too old, and from the functions when a call fails.
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

/// to = the sum of all ranks' rows of n floats, `stride` floats apart, in the order of tree_sum(): put on a stream.
using RankSums = std::function<void(DevicePtr rows, int64_t stride, DevicePtr to, int64_t n, StreamHandle stream)>;

/// Pointers are of device memory; collectives are put on the stream it was made for.
class NcclCommunicator : public comm::Communicator {
 public:
  /// Waits for all ranks. `use`: makes the GPU current on the calling thread. `sums`: how all_reduce adds up in a fixed
  /// order; empty: as NCCL likes. `staging`: device memory for that, of as many bytes as the largest operand and 64
  /// times the ranks more. Throws InputError (no NCCL, or versions that differ), LostRank.
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

  /// For somebody who has waited for the stream for `seconds`: when a rank was lost, ends what NCCL has on the GPU, so
  /// that the GPU can be left, and throws LostRank.
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

/// Floats of a rank's part of an all_reduce in fixed order: a multiple of 16, so that parts are aligned.
int64_t rank_part(int64_t n, int ranks);

}  // namespace moproc::cuda
