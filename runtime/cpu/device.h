// The CPU as a device: four arenas in host memory, and kernels that run on the thread pool. start() returns when the
// run has ended.
#pragma once

#include <vector>

#include "core/arena.h"
#include "core/device.h"
#include "core/plan.h"
#include "core/step_times.h"
#include "cpu/pool.h"

namespace moproc::comm {
class World;
}

namespace moproc {

/// Throws InputError if this machine's CPU does not have the level that the plan is compiled for.
void require_cpu(const Plan& plan);

class CpuDevice : public Device {
 public:
  /// All arguments must outlive the device. `times` is null unless steps are timed; `world` is null if there is only
  /// one rank. Throws InputError if the plan is for a CPU level that this machine does not have, std::bad_alloc if
  /// there is not enough memory.
  CpuDevice(const Plan& plan, Pool& pool, StepTimes* times, bool check, comm::World* world = nullptr);

  std::string name() const override;
  std::byte* host(int tensor) override { return data(tensor); }
  void read(int tensor, std::byte* stored) override;
  void write(int tensor, const std::byte* stored) override;
  void start(int program, const Progress& progress) override;
  void wait() override {}
  void run(int program, const Progress& progress) override { start(program, progress); }
  void keep(int tensor) override;
  void from_first_rank(int tensor) override;
  int64_t memory_bytes() const override;
  const char* extra() const override { return "scratch"; }

 private:
  std::byte* data(int tensor) const;
  void bind_steps();
  void launch(const StepInfo& step, void* const* buffers);
  void copy(const StepInfo& step);
  void together(const StepInfo& step);
  void begin(const StepInfo& step);

  const Plan& plan_;
  Pool& pool_;
  StepTimes* times_;
  bool check_;
  comm::World* world_;
  ArenaMemory arenas_[4];
  int64_t scratch_stride_;
  ArenaMemory scratch_;
  std::vector<std::vector<std::vector<void*>>> buffers_;  // by program, step, argument
};

}  // namespace moproc
