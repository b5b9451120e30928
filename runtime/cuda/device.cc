// A run uploads inputs, launches the graph and downloads outputs; all of it is queued at once. Everything that can be
// refused is refused before the first allocation.
#include "cuda/device.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>

#include "core/check.h"
#include "core/error.h"
#include "core/meta.h"

namespace moproc::cuda {
namespace {

constexpr const char* kArenaNames[] = {"the state arena", "the gradient arena", "the work arena",
                                       "the arena of inputs and outputs"};
constexpr const char* kAsGraph = "a run (a captured graph; --check launches one by one and names the kernel)";
constexpr const char* kOneByOne = "a run (--check names the kernel)";

std::string gigabytes(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2f GB", static_cast<double>(bytes) / 1e9);
  return text;
}

int64_t needed(const Plan& plan) {
  int64_t sum = Io::device_bytes(plan);
  for (const int64_t bytes : plan.arena_bytes) sum += bytes;
  return sum;
}

/// Returns the plan; throws InputError if it does not fit into the free memory.
const Plan& fitting(const Plan& plan, const Gpu& gpu) {
  const int64_t* const a = plan.arena_bytes;
  if (needed(plan) <= gpu.free_at_start()) return plan;
  throw InputError(std::string(plan.name) + " needs " + gigabytes(needed(plan)) + " of GPU memory (state " +
                   gigabytes(a[0]) + ", gradients " + gigabytes(a[1]) + ", work " + gigabytes(a[2]) +
                   ", inputs and outputs " + gigabytes(a[3]) + ", upload buffers " + gigabytes(Io::device_bytes(plan)) +
                   "); " + gpu.info().show() + " has " + gigabytes(gpu.free_at_start()) + " free of " +
                   gigabytes(gpu.info().memory) +
                   ": compile with a smaller batch, choose another GPU with --gpu, or end what else uses it");
}

}  // namespace

CudaDevice::CudaDevice(const Plan& plan, int gpu, StepTimes* times, bool check, comm::World* world, bool in_order)
    : driver_(plan),
      gpu_(driver_, gpu),
      plan_(fitting(plan, gpu_)),
      times_(times),
      check_(check),
      kernels_(driver_, plan, gpu_.info()),
      compute_(make_stream(driver_)),
      uploads_(make_stream(driver_)),
      arenas_(make_arenas()),
      io_(driver_, plan, arenas_.address[static_cast<int>(Arena::io)]),
      collectives_(world
                       ? std::make_unique<Collectives>(driver_, gpu_, plan, kernels_, arenas_.address, *world, in_order)
                       : nullptr),
      launches_(driver_, plan, kernels_, arenas_.address, collectives_.get()) {
  clear(Arena::state);
  clear(Arena::io);
  if (check_) clear(Arena::grad), clear(Arena::work);  // so that memory which no kernel has written is not an error
  driver_.stream_synchronize(compute_.get());
  size_t most = 0;
  for (int32_t p = 0; p < plan.programs.size; ++p) {
    most = std::max(most, static_cast<size_t>(plan.programs[p].steps.size));
    const bool runs = plan.programs[p].ranks == 0 || plan.programs[p].ranks == (world ? world->ranks() : 1);
    if (!times_ && !check_) graphs_.push_back(runs ? launches_.capture(p, compute_.get()) : GraphExec());
  }
  if (times_)
    for (size_t i = 0; i < 2 * most; ++i) events_.push_back(make_event(driver_, true));
}

CudaDevice::~CudaDevice() {
  driver_.at({});
  gpu_.use_unchecked();
  driver_.stream_synchronize.unchecked(uploads_.get());
  driver_.stream_synchronize.unchecked(compute_.get());
}

CudaDevice::Arenas CudaDevice::make_arenas() const {
  Arenas a;
  for (int i = 0; i < 4; ++i) {
    a.memory[i] = make_memory(driver_, plan_.arena_bytes[i], kArenaNames[i]);
    a.address[i] = a.memory[i].get();
  }
  return a;
}

void CudaDevice::clear(Arena arena) {
  const int i = static_cast<int>(arena);
  if (plan_.arena_bytes[i] > 0)
    driver_.fill(arenas_.address[i], 0, static_cast<size_t>(plan_.arena_bytes[i]), compute_.get());
}

void CudaDevice::read(int tensor, std::byte* stored) {
  const TensorInfo& t = plan_.tensors[tensor];
  if (const std::byte* const here = io_.host(tensor)) {
    std::copy_n(here, t.bytes, stored);
    return;
  }
  gpu_.use();
  const Doing doing(driver_, {t.name});
  if (t.bytes > 0) driver_.download(stored, launches_.address(tensor), static_cast<size_t>(t.bytes), compute_.get());
  driver_.stream_synchronize(compute_.get());
}

void CudaDevice::write(int tensor, const std::byte* stored) {
  const TensorInfo& t = plan_.tensors[tensor];
  if (std::byte* const here = io_.host(tensor)) {
    std::copy_n(stored, t.bytes, here);
    return;
  }
  gpu_.use();
  const Doing doing(driver_, {t.name});
  if (t.bytes > 0) driver_.upload(launches_.address(tensor), stored, static_cast<size_t>(t.bytes), compute_.get());
  driver_.stream_synchronize(compute_.get());
}

void CudaDevice::start(int program, const Progress& progress) {
  gpu_.use();
  if (collectives_) collectives_->at_program(program);
  io_.begin(program, uploads_.get(), compute_.get());
  if (graphs_.empty()) {
    launch_each(program, progress);
  } else {
    const Doing doing(driver_, {kAsGraph, program});
    driver_.graph_launch(graphs_[static_cast<size_t>(program)].get(), compute_.get());
  }
  io_.end(program, compute_.get());
}

void CudaDevice::wait() {
  gpu_.use();
  const Doing doing(driver_, {graphs_.empty() ? kOneByOne : kAsGraph});
  io_.wait([this](EventHandle done) {
    if (collectives_) collectives_->wait(done);
    else driver_.event_synchronize(done);
  });
}

void CudaDevice::run(int program, const Progress& progress) {
  start(program, progress);
  wait();
  io_.step_back();
  if (progress && !graphs_.empty()) progress(plan_.programs[program].steps.size);
}

void CudaDevice::launch_each(int program, const Progress& progress) {
  const int steps = plan_.programs[program].steps.size;
  const auto bytes = [this](int tensor) { return fetch(tensor); };
  const auto record = [this](int event) {
    if (times_) driver_.event_record(events_[static_cast<size_t>(event)].get(), compute_.get());
  };
  if (check_) check_inputs(plan_, program, bytes);
  for (int i = 0; i < steps; ++i) {
    record(2 * i);
    launches_.enqueue(program, i, compute_.get());
    record(2 * i + 1);
    if (!check_) continue;
    if (collectives_) collectives_->await(compute_.get());  // the result is checked before the next step
    {
      const Doing doing(driver_, {nullptr, program, i});
      driver_.stream_synchronize(compute_.get());
    }
    check_step(plan_, program, i, bytes);
    if (progress) progress(i + 1);
  }
  if (times_) add_times(program);
  if (progress && !check_) progress(steps);
}

void CudaDevice::add_times(int program) {
  const Doing doing(driver_, {kOneByOne, program});
  driver_.stream_synchronize(compute_.get());
  for (int i = 0; i < plan_.programs[program].steps.size; ++i) {
    float ms = 0;
    driver_.event_elapsed(&ms, events_[static_cast<size_t>(2 * i)].get(),
                          events_[static_cast<size_t>(2 * i + 1)].get());
    times_->add(program, i, std::chrono::duration<double, std::milli>(ms));
  }
  times_->count_run(program);
}

/// Downloads a tensor from the device, also inputs and outputs. Valid until the next call.
const std::byte* CudaDevice::fetch(int tensor) {
  const TensorInfo& t = plan_.tensors[tensor];
  const Doing doing(driver_, {t.name});
  fetched_.resize(static_cast<size_t>(t.bytes));
  if (t.bytes > 0)
    driver_.download(fetched_.data(), launches_.address(tensor), static_cast<size_t>(t.bytes), compute_.get());
  driver_.stream_synchronize(compute_.get());
  return fetched_.data();
}

void CudaDevice::keep(int tensor) {
  gpu_.use();
  const Doing doing(driver_, {plan_.tensors[tensor].name});
  io_.keep(tensor, uploads_.get());
}

void CudaDevice::from_first_rank(int tensor) {
  gpu_.use();
  const Doing doing(driver_, {plan_.tensors[tensor].name});
  collectives_->from_first_rank(tensor);
}

int64_t CudaDevice::memory_bytes() const { return needed(plan_); }

DeviceMemoryUse CudaDevice::memory_use() {
  gpu_.use();
  const int64_t free = gpu_.free_bytes();
  return {needed(plan_), gpu_.free_at_start() - free, free, gpu_.info().memory};
}

Roofline CudaDevice::roofline() const { return roofline_of(gpu_.info().name, meta(plan_, "precision")); }

}  // namespace moproc::cuda
