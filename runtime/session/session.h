// A session loads an artefact's programs onto a device, holds their state, and runs them. Surprising: inputs and
// outputs of different programs may share memory, so set inputs directly before a run and read outputs directly after
// it. Only inputs and outputs are in host memory on every device; other tensors have to be copied.
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
  bool profile = false;          // time every step; see Session::profiler()
  bool check = false;            // stop at the first NaN or infinity that a step writes
  int gpu = 0;                   // number of the GPU among those that the driver shows (CUDA_VISIBLE_DEVICES)
  bool deterministic = false;    // several GPUs: add over ranks in the same order as the CPU
  comm::World* world = nullptr;  // the ranks that share the batch; null: this process has the whole batch
};

/// Not thread safe: one call at a time.
class Session {
 public:
  /// The plan must outlive the session. State is zero until init_state() or set(). Throws InputError if the plan has
  /// another version or device, if it needs another CPU, or if the GPU does not exist, cannot run it or has too little
  /// memory; std::bad_alloc if host memory does not suffice.
  explicit Session(const Plan& plan, SessionOptions options = {});
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const Plan& plan() const { return plan_; }
  Pool& pool() { return pool_; }
  Device& device() const { return *device_; }
  Profiler& profiler() { return profiler_; }

  /// The ranks that share the batch (null: only this process), their number, and the rank of this process.
  comm::World* world() const { return world_; }
  int ranks() const;
  int rank() const;

  /// Index of a program for this number of ranks. If there is none, throws InputError, which lists the programs.
  int program(std::string_view name) const;
  bool has_program(std::string_view name) const { return find_program(name) >= 0; }
  /// Index of a tensor by its full name in the plan. If there is none, find_tensor() returns -1, and tensor() throws
  /// InputError.
  int find_tensor(std::string_view name) const;
  int tensor(std::string_view name) const;
  /// Index of the tensor of a program's input or output, by its name with or without the program's name. If there is
  /// none, find_*() return -1, and the others throw InputError, which lists the program's inputs or outputs.
  int find_input(int program, std::string_view name) const;
  int find_output(int program, std::string_view name) const;
  int input(int program, std::string_view name) const;
  int output(int program, std::string_view name) const;

  const TensorInfo& info(int tensor) const { return plan_.tensors[tensor]; }
  /// The tensor's bytes in stored order (4-D tensors channels-last). On a device with memory of its own, throws
  /// std::logic_error for tensors that are neither inputs nor outputs. After writing state through this pointer, call
  /// mark_stale().
  std::byte* data(int tensor) const;
  template <class T>
  std::span<T> view(int tensor) const {
    return {reinterpret_cast<T*>(data(tensor)), static_cast<size_t>(info(tensor).bytes) / sizeof(T)};
  }

  /// Copies a whole tensor from or to logical row-major bytes. Throws InputError if their size is not the tensor's.
  void set(int tensor, std::span<const std::byte> logical);
  void get(int tensor, std::span<std::byte> logical) const;
  /// The same in stored order.
  void write(int tensor, std::span<const std::byte> stored);
  void read(int tensor, std::span<std::byte> stored) const;
  /// The tensor's bytes in stored order. If they are not in host memory, they are copied into `room`.
  std::span<const std::byte> stored(int tensor, std::vector<std::byte>& room) const;

  /// Initialises all state; derived state follows with the next run. Random values depend only on the seed and the
  /// tensor's name, not on the number of threads. Other values (momenta, counters) are constants.
  void init_state(uint64_t seed);
  /// Copies the states that a step updates correctly only on rank 0 to all ranks. All ranks must call it before
  /// anything except a step reads these states.
  void share_first_rank();
  /// Says that derived state no longer matches the other state: the next run (or refresh()) computes it again first.
  void mark_stale() { stale_ = true; }
  /// Runs the program `refresh` if derived state is stale.
  void refresh();

  /// Runs all steps of a program and returns when they have ended. Throws NonFiniteError if SessionOptions::check is
  /// set and a step writes a NaN or infinity.
  void run(int program, const Progress& progress = {});

  /// The same in two halves, so that the host can work at the same time as the device. start() takes the present values
  /// of the inputs; every input must be written again before the next start(). wait() waits for the oldest run, whose
  /// outputs can then be read until the next wait(). At most slots() runs may be started and not waited for. On the CPU
  /// that is one, and it ends within start().
  int slots() const { return device_->slots(); }
  void start(int program, const Progress& progress = {});
  void wait();
  /// The input keeps its present value in every later run and is not uploaded again. No run may be under way. Only for
  /// devices with memory of their own (Device::separate()).
  void keep(int input) { device_->keep(input); }

  /// Bytes of all arenas and of the device's other memory.
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
  int started_ = 0;  // runs that were started and not waited for
  bool stale_ = true;
};

}  // namespace moproc
