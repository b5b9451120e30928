#include "step_runner.h"

#include <algorithm>
#include <string_view>

#include "core/error.h"

namespace moproc::tools {
namespace {

const Plan& for_cuda(const Plan& plan) {
  if (std::string_view(plan.device) != "cuda")
    throw InputError(std::string(plan.name) + " is compiled for " + plan.device + ": only CUDA kernels are checked");
  return plan;
}

}  // namespace

StepRunner::StepRunner(const Plan& plan, int gpu)
    : plan_(for_cuda(plan)),
      driver_(plan),
      gpu_(driver_, gpu),
      kernels_(driver_, plan, gpu_.info()),
      stream_(cuda::make_stream(driver_)),
      arenas_(make_arenas()),
      launches_(driver_, plan, kernels_, arenas_.address, nullptr) {}

StepRunner::Arenas StepRunner::make_arenas() const {
  Arenas a;
  for (int i = 0; i < 4; ++i) {
    a.memory[i] = cuda::make_memory(driver_, plan_.arena_bytes[i], "an arena");
    a.address[i] = a.memory[i].get();
  }
  return a;
}

void StepRunner::spoil() {
  for (int i = 0; i < 4; ++i)
    if (plan_.arena_bytes[i] > 0)
      driver_.fill(arenas_.address[i], 0xff, static_cast<size_t>(plan_.arena_bytes[i]), stream_.get());
  driver_.stream_synchronize(stream_.get());
}

void StepRunner::write(int tensor, const std::byte* stored) {
  const TensorInfo& t = plan_.tensors[tensor];
  const cuda::Doing doing(driver_, {t.name});
  if (t.bytes > 0) driver_.upload(launches_.address(tensor), stored, static_cast<size_t>(t.bytes), stream_.get());
  driver_.stream_synchronize(stream_.get());
}

void StepRunner::read(int tensor, std::byte* stored) {
  const TensorInfo& t = plan_.tensors[tensor];
  const cuda::Doing doing(driver_, {t.name});
  if (t.bytes > 0) driver_.download(stored, launches_.address(tensor), static_cast<size_t>(t.bytes), stream_.get());
  driver_.stream_synchronize(stream_.get());
}

void StepRunner::run(int program, int step) {
  launches_.enqueue(program, step, stream_.get());
  const cuda::Doing doing(driver_, {nullptr, program, step});
  driver_.stream_synchronize(stream_.get());
}

std::vector<int> tensors_of(const StepInfo& step) {
  std::vector<int> all;
  for (const int32_t t : step.args)
    if (std::find(all.begin(), all.end(), t) == all.end()) all.push_back(t);
  return all;
}

}  // namespace moproc::tools
