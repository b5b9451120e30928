// Running a program: each launch is its phases over the pool, one after the other; copies are cut over the
// pool, too.
#include <algorithm>
#include <cstring>
#include <string>

#include "core/check.h"
#include "core/session.h"

namespace moproc {
namespace {

// Waking a sleeping thread costs more than a launch of this little work: such launches stay on the caller.
constexpr double kInlineWork = 100e3;  // flops + bytes
constexpr int64_t kCopyChunk = 256 << 10;

}  // namespace

void Session::bind_steps() {
  for (const ProgramInfo& p : plan_.programs) {
    auto& steps = buffers_.emplace_back();
    for (const StepInfo& s : p.steps) {
      auto& args = steps.emplace_back();
      for (const int32_t t : s.args) args.push_back(data(t));
    }
  }
}

void Session::refresh() {
  if (!stale_) return;
  stale_ = false;  // before running: refresh is a program like the others
  if (refresh_ >= 0) execute(refresh_);
}

void Session::run(int program, const Progress& progress) {
  if (program == refresh_) stale_ = false;
  refresh();
  execute(program, progress);
}

void Session::execute(int program, const Progress& progress) {
  const ProgramInfo& p = plan_.programs[program];
  if (options_.check) check_inputs(program);
  for (int32_t i = 0; i < p.steps.size; ++i) {
    const StepInfo& step = p.steps[i];
    const auto start = options_.profile ? Profiler::now() : Profiler::Time{};
    if (step.kind == StepKind::launch) launch(step, buffers_[program][i].data());
    else copy(step);
    if (options_.profile) profiler_.add(program, i, Profiler::now() - start);
    if (options_.check) check_step(program, step);
    if (progress) progress(i + 1);
  }
  if (options_.profile) profiler_.count_run(program);
}

void Session::launch(const StepInfo& step, void* const* buffers) {
  const CpuEntry entry = plan_.kernels[step.kernel].entry;
  Params params{
      buffers, step.rows, step.groups, {}, arenas_[static_cast<int>(Arena::work)].data() + step.workspace,
                step.scalars.data};
  std::copy_n(step.extent, 4, params.extent);
  const bool small = step.flops + step.bytes < kInlineWork;
  for (int32_t phase = 0; phase < step.tasks.size; ++phase) {
    const auto body = [&, phase](int64_t begin, int64_t end, int thread) {
      entry(params, Task{phase, begin, end, scratch_.data() + thread * scratch_stride_});
    };
    const int64_t tasks = step.tasks[phase];
    if (small && tasks > 0) body(0, tasks, 0);
    else pool_.run(tasks, body);
  }
}

void Session::copy(const StepInfo& step) {
  const std::byte* const from = data(step.args[0]);
  std::byte* const to = data(step.args[1]);
  const int64_t bytes = info(step.args[1]).bytes;
  pool_.run((bytes + kCopyChunk - 1) / kCopyChunk, [&](int64_t begin, int64_t end, int) {
    const int64_t first = begin * kCopyChunk, last = std::min(bytes, end * kCopyChunk);
    std::memcpy(to + first, from + first, static_cast<size_t>(last - first));
  });
}

void Session::check_inputs(int program) const {
  const ProgramInfo& p = plan_.programs[program];
  const auto check = [&](int32_t t) {
    const int64_t at = first_nonfinite(info(t), data(t));
    if (at >= 0)
      throw NonFiniteError(std::string(info(t).name) + "[" + std::to_string(at) +
                           "] is not finite before program " + p.name + " starts");
  };
  for (const int32_t t : p.inputs) check(t);
  for (const StateInfo& s : plan_.state)
    if (s.role != Role::derived) check(s.tensor);
}

/// The plan does not say which arguments a kernel writes; those it reads were found finite when they were
/// written.
void Session::check_step(int program, const StepInfo& step) const {
  for (const int32_t t : step.args) {
    const int64_t at = first_nonfinite(info(t), data(t));
    if (at < 0) continue;
    const std::string kernel = step.kind == StepKind::launch ? plan_.kernels[step.kernel].symbol : "copy";
    throw NonFiniteError(std::string(info(t).name) + "[" + std::to_string(at) +
                         "] is not finite after kernel " + kernel + " of step " + step.name + " in program " +
                         plan_.programs[program].name);
  }
}

}  // namespace moproc
