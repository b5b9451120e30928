// A GPU as a device. The arenas are in its memory, and each program is captured once as a CUDA graph, which every run
// launches. To profile or to check, the steps are launched one by one instead.
#pragma once

#include <memory>
#include <vector>

#include "core/device.h"
#include "core/plan.h"
#include "core/step_times.h"
#include "cuda/collectives.h"
#include "cuda/io.h"
#include "cuda/launches.h"

namespace moproc::cuda {

class CudaDevice : public Device {
 public:
  /// The plan and `times` must outlive the device; `times` is null unless steps are timed. `gpu`: index among the GPUs
  /// that the driver shows. `world`: the ranks that share the batch, or null. `in_order`: their sums are added in the
  /// CPU's order. Throws InputError if there is no driver or it is too old, there is no such GPU, the plan has no code
  /// for it, or too little memory is free; CudaError if a call fails for another reason.
  CudaDevice(const Plan& plan, int gpu, StepTimes* times, bool check, comm::World* world = nullptr,
             bool in_order = false);
  ~CudaDevice() override;

  std::string name() const override { return gpu_.info().show(); }
  std::byte* host(int tensor) override { return io_.host(tensor); }
  void read(int tensor, std::byte* stored) override;
  void write(int tensor, const std::byte* stored) override;
  int slots() const override { return Io::kSlots; }
  /// A captured graph reports no progress while it runs; run() calls `progress` once at the end.
  void start(int program, const Progress& progress) override;
  void wait() override;
  void run(int program, const Progress& progress) override;
  void keep(int tensor) override;
  void from_first_rank(int tensor) override;
  int64_t memory_bytes() const override;
  const char* extra() const override { return "upload buffers"; }
  bool separate() const override { return true; }
  DeviceMemoryUse memory_use() override;
  Roofline roofline() const override;

 private:
  struct Arenas {
    Memory memory[4];
    DevicePtr address[4];
  };
  Arenas make_arenas() const;
  void clear(Arena arena);
  void launch_each(int program, const Progress& progress);
  void add_times(int program);
  const std::byte* fetch(int tensor);

  Driver driver_;
  Gpu gpu_;
  const Plan& plan_;
  StepTimes* times_;
  bool check_;
  Kernels kernels_;
  Stream compute_, uploads_;
  Arenas arenas_;
  Io io_;
  std::unique_ptr<Collectives> collectives_;  // null if there is only one rank
  Launches launches_;
  std::vector<GraphExec> graphs_;   // by program; empty to profile or check
  std::vector<Event> events_;       // to profile: before and after each step
  std::vector<std::byte> fetched_;  // to check
};

}  // namespace moproc::cuda
