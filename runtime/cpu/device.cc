// Runs programs: the phases of each launch run on the pool, one after the other; copies are divided over the pool, too.
#include "cpu/device.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>

#include "comm/world.h"
#include "core/check.h"
#include "core/error.h"
#include "cpu/amx.h"

namespace moproc {
namespace {

// Waking a sleeping thread costs more than a launch with less work than this, so such launches run on the caller.
constexpr double kInlineWork = 100e3;  // flops + bytes
constexpr int64_t kCopyChunk = 256 << 10;
constexpr int64_t kPage = 4096;

bool cpu_has(std::string_view arch) {
  if (arch == "x86-64" || arch == "x86-64-v1") return true;
  if (arch == "x86-64-v2") return __builtin_cpu_supports("x86-64-v2");
  if (arch == "x86-64-v3") return __builtin_cpu_supports("x86-64-v3");
  if (arch == "x86-64-v4") return __builtin_cpu_supports("x86-64-v4");
  const bool v4_bf16 = __builtin_cpu_supports("x86-64-v4") && __builtin_cpu_supports("avx512bf16");
  if (arch == "x86-64-v4+bf16") return v4_bf16;
  if (arch == "x86-64-v4+amx") return v4_bf16 && has_amx();
  throw InputError("the artefact is compiled for the unknown CPU level " + std::string(arch));
}

/// Returns the plan after require_cpu. Called before any memory is allocated.
const Plan& checked(const Plan& plan) {
  require_cpu(plan);
  return plan;
}

}  // namespace

void require_cpu(const Plan& plan) {
  if (!cpu_has(plan.arch))
    throw InputError(std::string("the artefact is compiled for ") + plan.arch +
                     ", which this machine's CPU does not have (or, AMX before Linux 5.16, may not use); compile it " +
                     "with a lower --target-arch");
}

CpuDevice::CpuDevice(const Plan& plan, Pool& pool, StepTimes* times, bool check, comm::World* world)
    : plan_(checked(plan)),
      pool_(pool),
      times_(times),
      check_(check),
      world_(world),
      arenas_{ArenaMemory(plan.arena_bytes[0]), ArenaMemory(plan.arena_bytes[1]), ArenaMemory(plan.arena_bytes[2]),
              ArenaMemory(plan.arena_bytes[3])},
      scratch_stride_((plan.scratch_bytes + kPage - 1) / kPage * kPage),
      scratch_(scratch_stride_ * pool.threads()) {
  bind_steps();
}

std::string CpuDevice::name() const {
  return std::string(plan_.arch) + ", " + std::to_string(pool_.threads()) + " threads";
}

std::byte* CpuDevice::data(int tensor) const {
  const TensorInfo& t = plan_.tensors[tensor];
  return arenas_[static_cast<int>(t.arena)].data() + t.offset;
}

void CpuDevice::read(int tensor, std::byte* stored) {
  std::memcpy(stored, data(tensor), static_cast<size_t>(plan_.tensors[tensor].bytes));
}

void CpuDevice::write(int tensor, const std::byte* stored) {
  std::memcpy(data(tensor), stored, static_cast<size_t>(plan_.tensors[tensor].bytes));
}

void CpuDevice::keep(int) { throw std::logic_error("the CPU reads inputs where the host writes them"); }

void CpuDevice::from_first_rank(int tensor) {
  const TensorInfo& t = plan_.tensors[tensor];
  world_->communicator().broadcast(t.name, data(tensor), t.bytes, 0);
}

int64_t CpuDevice::memory_bytes() const {
  int64_t sum = scratch_.bytes();
  for (const ArenaMemory& a : arenas_) sum += a.bytes();
  return sum;
}

void CpuDevice::bind_steps() {
  for (const ProgramInfo& p : plan_.programs) {
    auto& steps = buffers_.emplace_back();
    for (const StepInfo& s : p.steps) {
      auto& args = steps.emplace_back();
      for (const int32_t t : s.args) args.push_back(data(t));
    }
  }
}

void CpuDevice::start(int program, const Progress& progress) {
  const ProgramInfo& p = plan_.programs[program];
  const auto bytes = [this](int tensor) { return data(tensor); };
  if (check_) check_inputs(plan_, program, bytes);
  for (int32_t i = 0; i < p.steps.size; ++i) {
    const StepInfo& step = p.steps[i];
    const auto start = times_ ? StepTimes::now() : StepTimes::Time{};
    if (step.kind == StepKind::launch) launch(step, buffers_[program][i].data());
    else if (step.kind == StepKind::copy) copy(step);
    else together(step);
    if (times_) times_->add(program, i, StepTimes::now() - start);
    if (check_) check_step(plan_, program, i, bytes);
    if (progress) progress(i + 1);
  }
  if (times_) times_->count_run(program);
}

void CpuDevice::launch(const StepInfo& step, void* const* buffers) {
  const CpuEntry entry = plan_.kernels[step.kernel].entry;
  Params params{
      buffers,          step.rows, step.groups, {}, arenas_[static_cast<int>(Arena::work)].data() + step.workspace,
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

/// The collective steps, which are begun here and executed by the queue's thread.
void CpuDevice::together(const StepInfo& step) {
  if (!world_) throw std::logic_error("a program of several ranks on one");
  if (step.kind == StepKind::await) return world_->queue().wait();
  begin(step);
  if (check_) world_->queue().wait();  // the result is checked before the next step
}

void CpuDevice::begin(const StepInfo& step) {
  const std::byte* const from = data(step.args[0]);
  std::byte* const to = data(step.args[1]);
  const TensorInfo& own = plan_.tensors[step.args[0]];
  const char* const name = plan_.tensors[step.args[1]].name;
  if (step.kind == StepKind::all_reduce)
    world_->queue().all_reduce(name, reinterpret_cast<const float*>(from), reinterpret_cast<float*>(to),
                               own.bytes / static_cast<int64_t>(sizeof(float)));
  else if (step.kind == StepKind::all_gather) world_->queue().all_gather(name, from, to, own.bytes);
  else
    std::memcpy(to, from + world_->rank() * plan_.tensors[step.args[1]].bytes,
                static_cast<size_t>(plan_.tensors[step.args[1]].bytes));
}

void CpuDevice::copy(const StepInfo& step) {
  const std::byte* const from = data(step.args[0]);
  std::byte* const to = data(step.args[1]);
  const int64_t bytes = plan_.tensors[step.args[1]].bytes;
  pool_.run((bytes + kCopyChunk - 1) / kCopyChunk, [&](int64_t begin, int64_t end, int) {
    const int64_t first = begin * kCopyChunk, last = std::min(bytes, end * kCopyChunk);
    std::memcpy(to + first, from + first, static_cast<size_t>(last - first));
  });
}

}  // namespace moproc
