// Binding, launching, capturing. A phase without tasks is skipped, because a grid without blocks is an error.
#include "cuda/launches.h"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <string>

#include "core/error.h"
#include "cuda/tensor_maps.h"

namespace moproc::cuda {

Launches::Launches(const Driver& driver, const Plan& plan, const Kernels& kernels, const DevicePtr (&arenas)[4],
                   const Collectives* collectives)
    : driver_(driver), plan_(plan), kernels_(kernels), collectives_(collectives) {
  std::copy_n(arenas, 4, arenas_);
  for (const ProgramInfo& p : plan.programs) {
    std::vector<Params>& params = params_.emplace_back();
    for (const StepInfo& s : p.steps) params.push_back(bind(p, s));
  }
}

DevicePtr Launches::address(int tensor) const {
  const TensorInfo& t = plan_.tensors[tensor];
  return arenas_[static_cast<int>(t.arena)] + static_cast<DevicePtr>(t.offset);
}

Params Launches::bind(const ProgramInfo& p, const StepInfo& s) const {
  Params params{};
  if (s.kind != StepKind::launch) return params;
  const auto refuse = [&](const std::string& what) {
    throw InputError(std::string(plan_.name) + ": step " + s.name + " of program " + p.name + " has " + what);
  };
  const auto limit = [&](int64_t n, int64_t most, const char* what) {
    if (n > most) refuse(std::to_string(n) + " " + what + ", at most " + std::to_string(most) + " fit");
  };
  limit(s.args.size, Params::kBuffers, "arguments");
  limit(s.scalars.size, Params::kScalars, "scalars");
  for (const int64_t tasks : s.tasks) limit(tasks, std::numeric_limits<int32_t>::max(), "blocks in a phase");
  for (int32_t i = 0; i < s.args.size; ++i) params.buf[i] = address(s.args[i]);
  std::copy(s.scalars.begin(), s.scalars.end(), params.scalars);
  params.rows = s.rows;
  params.groups = s.groups;
  std::copy_n(s.extent, 4, params.extent);
  limit(s.maps.size, Params::kMaps, "tensor maps");
  if (kernels_.hopper())
    for (int32_t i = 0; i < s.maps.size; ++i) {
      const Doing doing(driver_, {"a tensor map"});
      params.map[i] = encode(driver_, s.maps[i], params.buf[s.maps[i].arg]);
    }
  params.workspace = arenas_[static_cast<int>(Arena::work)] + static_cast<DevicePtr>(s.workspace);
  return params;
}

void Launches::enqueue(int program, int step, StreamHandle stream) const {
  const StepInfo& s = plan_.programs[program].steps[step];
  const Doing doing(driver_, {nullptr, program, step});
  if (s.kind == StepKind::copy) {
    const size_t bytes = static_cast<size_t>(plan_.tensors[s.args[1]].bytes);
    if (bytes > 0) driver_.copy(address(s.args[1]), address(s.args[0]), bytes, stream);
    return;
  }
  if (s.kind != StepKind::launch) {
    if (!collectives_) throw std::logic_error("a program of several ranks on one");
    return collectives_->enqueue(program, step, stream);
  }
  const BlockSize block = kernels_.block(s.kernel);
  Params params = params_[static_cast<size_t>(program)][static_cast<size_t>(step)];
  void* arguments[] = {&params};
  for (int32_t phase = 0; phase < s.tasks.size; ++phase) {
    if (s.tasks[phase] == 0) continue;
    params.phase = phase;
    driver_.launch(kernels_.function(s.kernel), static_cast<unsigned>(s.tasks[phase]), 1, 1,
                   static_cast<unsigned>(block.threads), 1, 1, static_cast<unsigned>(block.shared_bytes), stream,
                   arguments, nullptr);
  }
}

GraphExec Launches::capture(int program, StreamHandle stream) const {
  driver_.stream_begin_capture(stream, kCaptureThreadLocal);
  GraphHandle graph = nullptr;
  try {
    for (int32_t i = 0; i < plan_.programs[program].steps.size; ++i) enqueue(program, i, stream);
  } catch (...) {
    driver_.stream_end_capture.unchecked(stream, &graph);
    if (graph) driver_.graph_destroy.unchecked(graph);
    throw;
  }
  const Doing doing(driver_, {"the captured graph", program});
  driver_.stream_end_capture(stream, &graph);
  const Graph owner(driver_, graph);
  GraphExecHandle executable = nullptr;
  driver_.graph_instantiate(&executable, graph, 0);
  return {driver_, executable};
}

}  // namespace moproc::cuda
