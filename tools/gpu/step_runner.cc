#include "step_runner.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include "core/arena.h"
#include "core/error.h"
#include "cpu/device.h"
#include "cuda/gpu.h"
#include "cuda/handles.h"
#include "cuda/kernels.h"
#include "cuda/launches.h"

namespace moproc::tools {
namespace {

class CudaSteps : public StepRunner {
 public:
  CudaSteps(const Plan& plan, int gpu)
      : plan_(plan),
        driver_(plan),
        gpu_(driver_, gpu),
        kernels_(driver_, plan, gpu_.info()),
        stream_(cuda::make_stream(driver_)),
        arenas_(make_arenas()),
        launches_(driver_, plan, kernels_, arenas_.address, nullptr) {}

  std::string shown() const override { return gpu_.info().show(); }
  void spoil() override;
  void write(int tensor, const std::byte* stored) override;
  void read(int tensor, std::byte* stored) override;
  void run(int program, int step) override;

 private:
  struct Arenas {
    cuda::Memory memory[4];
    cuda::DevicePtr address[4];
  };
  Arenas make_arenas() const;

  const Plan& plan_;
  cuda::Driver driver_;
  cuda::Gpu gpu_;
  cuda::Kernels kernels_;
  cuda::Stream stream_;
  Arenas arenas_;
  cuda::Launches launches_;
};

CudaSteps::Arenas CudaSteps::make_arenas() const {
  Arenas a;
  for (int i = 0; i < 4; ++i) {
    a.memory[i] = cuda::make_memory(driver_, plan_.arena_bytes[i], "an arena");
    a.address[i] = a.memory[i].get();
  }
  return a;
}

void CudaSteps::spoil() {
  for (int i = 0; i < 4; ++i)
    if (plan_.arena_bytes[i] > 0)
      driver_.fill(arenas_.address[i], 0xff, static_cast<size_t>(plan_.arena_bytes[i]), stream_.get());
  driver_.stream_synchronize(stream_.get());
}

void CudaSteps::write(int tensor, const std::byte* stored) {
  const TensorInfo& t = plan_.tensors[tensor];
  const cuda::Doing doing(driver_, {t.name});
  if (t.bytes > 0) driver_.upload(launches_.address(tensor), stored, static_cast<size_t>(t.bytes), stream_.get());
  driver_.stream_synchronize(stream_.get());
}

void CudaSteps::read(int tensor, std::byte* stored) {
  const TensorInfo& t = plan_.tensors[tensor];
  const cuda::Doing doing(driver_, {t.name});
  if (t.bytes > 0) driver_.download(stored, launches_.address(tensor), static_cast<size_t>(t.bytes), stream_.get());
  driver_.stream_synchronize(stream_.get());
}

void CudaSteps::run(int program, int step) {
  launches_.enqueue(program, step, stream_.get());
  const cuda::Doing doing(driver_, {nullptr, program, step});
  driver_.stream_synchronize(stream_.get());
}

/// All tasks of a launch run in order on the calling thread.
class CpuSteps : public StepRunner {
 public:
  explicit CpuSteps(const Plan& plan) : plan_(plan), scratch_(plan.scratch_bytes) {
    for (const int64_t bytes : plan.arena_bytes) arenas_.emplace_back(bytes);
  }

  std::string shown() const override { return plan_.arch; }
  void spoil() override {
    for (const ArenaMemory& a : arenas_) std::memset(a.data(), 0xff, static_cast<size_t>(a.bytes()));
    std::memset(scratch_.data(), 0xff, static_cast<size_t>(scratch_.bytes()));
  }
  void write(int tensor, const std::byte* stored) override { std::memcpy(data(tensor), stored, size(tensor)); }
  void read(int tensor, std::byte* stored) override { std::memcpy(stored, data(tensor), size(tensor)); }
  void run(int program, int step) override {
    const StepInfo& s = plan_.programs[program].steps[step];
    if (s.kind == StepKind::copy) return write(s.args[1], data(s.args[0]));
    if (s.kind != StepKind::launch) throw InputError("programs of several ranks cannot be run step by step");
    std::vector<void*> buffers;
    for (const int32_t t : s.args) buffers.push_back(data(t));
    std::byte* const workspace = arenas_[static_cast<int>(Arena::work)].data() + s.workspace;
    Params params{buffers.data(), s.rows, s.groups, {}, workspace, s.scalars.data};
    std::copy_n(s.extent, 4, params.extent);
    for (int32_t phase = 0; phase < s.tasks.size; ++phase)
      plan_.kernels[s.kernel].entry(params, Task{phase, 0, s.tasks[phase], scratch_.data()});
  }

 private:
  std::byte* data(int tensor) const {
    const TensorInfo& t = plan_.tensors[tensor];
    return arenas_[static_cast<int>(t.arena)].data() + t.offset;
  }
  size_t size(int tensor) const { return static_cast<size_t>(plan_.tensors[tensor].bytes); }

  const Plan& plan_;
  std::vector<ArenaMemory> arenas_;
  ArenaMemory scratch_;
};

}  // namespace

std::unique_ptr<StepRunner> make_step_runner(const Plan& plan, int gpu) {
  if (std::string_view(plan.device) == "cuda") return std::make_unique<CudaSteps>(plan, gpu);
  require_cpu(plan);
  return std::make_unique<CpuSteps>(plan);
}

std::vector<int> tensors_of(const StepInfo& step) {
  std::vector<int> all;
  for (const int32_t t : step.args)
    if (std::find(all.begin(), all.end(), t) == all.end()) all.push_back(t);
  return all;
}

}  // namespace moproc::tools
