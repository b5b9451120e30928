// A compiled program set on its device: names, the state that lives across runs, and runs. Surprising: inputs
// and outputs of different programs may share memory, so set inputs right before a run and read outputs right
// after it; and only inputs and outputs are host memory on every device, other tensors are copied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/device.h"
#include "core/plan.h"
#include "cpu/pool.h"
#include "session/profiler.h"

namespace moproc::comm {
class World;
}

namespace moproc {

struct SessionOptions {
  int threads = 0;               // 0: usable_cores()
  bool profile = false;          // time every step, see Session::profiler()
  bool check = false;            // stop at the first NaN or infinity a step writes
  int gpu = 0;                   // which of the GPUs that the driver shows (CUDA_VISIBLE_DEVICES)
  bool deterministic = false;    // several GPUs: sums over ranks have the order that they have on the CPU
  comm::World* world = nullptr;  // the ranks that share the batch; null: this process has all of it
};

/// Not thread safe: one call at a time.
class Session {
 public:
  /// The plan must outlive the session. State is zero until init_state() or set(). Throws InputError when the
  /// plan is of another version or device, of a CPU this machine has not, or for a GPU that is not there,
  /// cannot run it or lacks memory; std::bad_alloc when host memory does not suffice.
  explicit Session(const Plan& plan, SessionOptions options = {});
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const Plan& plan() const { return plan_; }
  Pool& pool() { return pool_; }
  Device& device() const { return *device_; }
  Profiler& profiler() { return profiler_; }

  /// The ranks that share the batch, and which of them this process is.
  comm::World* world() const { return world_; }
  int ranks() const;
  int rank() const;

  /// Index of a program for this number of ranks, or InputError listing the programs there are.
  int program(std::string_view name) const;
  bool has_program(std::string_view name) const { return find_program(name) >= 0; }
  /// Index of a tensor by its full name in the plan; -1 (find) or InputError (tensor) when there is none.
  int find_tensor(std::string_view name) const;
  int tensor(std::string_view name) const;
  /// Index of the tensor behind an input or output of a program, by its name with or without the program's;
  /// -1 (find) or InputError listing what there is.
  int find_input(int program, std::string_view name) const;
  int find_output(int program, std::string_view name) const;
  int input(int program, std::string_view name) const;
  int output(int program, std::string_view name) const;

  const TensorInfo& info(int tensor) const { return plan_.tensors[tensor]; }
  /// The tensor's bytes in stored order (4-D tensors channels-last). On a device with memory of its own only
  /// inputs and outputs have any: throws std::logic_error for others. Writing state through it needs
  /// mark_stale().
  std::byte* data(int tensor) const;
  template <class T>
  std::span<T> view(int tensor) const {
    return {reinterpret_cast<T*>(data(tensor)), static_cast<size_t>(info(tensor).bytes) / sizeof(T)};
  }

  /// Copies a whole tensor from or to logical row-major bytes. Throws InputError when the size is not the
  /// tensor's.
  void set(int tensor, std::span<const std::byte> logical);
  void get(int tensor, std::span<std::byte> logical) const;
  /// The same in stored order.
  void write(int tensor, std::span<const std::byte> stored);
  void read(int tensor, std::span<std::byte> stored) const;
  /// The tensor's bytes in stored order: where they are, or copied into `room`.
  std::span<const std::byte> stored(int tensor, std::vector<std::byte>& room) const;

  /// Fills all state from the seed: random values depend on it and the tensor's name only; momenta and the
  /// like are constants. Bits do not depend on the number of threads.
  void init_state(uint64_t seed);
  /// The states that a step leaves right on rank 0 alone become so on all: before anything but a step reads them.
  /// Called by all ranks.
  void share_first_rank();
  /// Derived state no longer fits the rest: the next run (or refresh()) rebuilds it first.
  void mark_stale() { stale_ = true; }
  /// Runs the program `refresh` if derived state is stale.
  void refresh();

  /// Runs all steps of a program and returns when they have ended. With SessionOptions::check throws
  /// NonFiniteError.
  void run(int program, const Progress& progress = {});

  /// The same in two halves, so that the host works while the device does: start() takes the inputs as they
  /// are, and every input must be written again before the next start(); wait() waits for the oldest run,
  /// whose outputs can then be read until the next wait(). Up to slots() runs may be started and not waited
  /// for; on the CPU that is one, and it ends within start().
  int slots() const { return device_->slots(); }
  void start(int program, const Progress& progress = {});
  void wait();
  /// The input keeps its present value in every later run and is uploaded no more; nothing may be under way.
  /// Only of a device with memory of its own (Device::separate()).
  void keep(int input) { device_->keep(input); }

  /// Bytes of all arenas and of what the device needs besides.
  int64_t memory_bytes() const { return device_->memory_bytes(); }

 private:
  int find_program(std::string_view name) const;
  void require_size(int tensor, size_t bytes) const;

  const Plan& plan_;
  comm::World* const world_;
  Pool pool_;
  Profiler profiler_;
  std::unique_ptr<Device> device_;
  std::unordered_map<std::string_view, int> tensors_;
  int refresh_ = -1;
  int started_ = 0;  // and not waited for
  bool stale_ = true;
};

}  // namespace moproc
