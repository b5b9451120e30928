// A running graph does not say how far it is. So before each collective the stream copies a number into host memory,
// and reports about this rank can name its step and collective.
#include "cuda/collectives.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <string_view>
#include <thread>
#include <vector>

#include "core/error.h"
#include "cuda/params.h"

namespace moproc::cuda {
namespace {

bool begins(const StepInfo& s) { return s.kind == StepKind::all_reduce || s.kind == StepKind::all_gather; }

constexpr int64_t kAlign = 16;  // bytes; alignment of a gather's part in a message of several

int64_t room_of(const Plan& plan, const StepInfo& s) {
  return (plan.tensors[s.args[0]].bytes + kAlign - 1) / kAlign * kAlign;
}

/// The end of the run of consecutive gathers that `step` begins; `step` itself if it begins none.
int end_of_run(const ProgramInfo& p, int step) {
  const auto gathers = [&](int i) { return i >= 0 && i < p.steps.size && p.steps[i].kind == StepKind::all_gather; };
  int end = step;
  if (gathers(step - 1)) return step;
  while (gathers(end)) ++end;
  return end;
}

int collectives_of(const ProgramInfo& p) {
  return static_cast<int>(std::count_if(p.steps.begin(), p.steps.end(), begins));
}

}  // namespace

Collectives::Collectives(const Driver& driver, const Gpu& gpu, const Plan& plan, const Kernels& kernels,
                         const DevicePtr (&arenas)[4], comm::World& world, bool in_order)
    : driver_(driver),
      gpu_(gpu),
      plan_(plan),
      kernels_(kernels),
      world_(world),
      stream_(make_stream(driver)),
      ready_(make_event(driver, false)),
      done_(make_event(driver, false)),
      progress_(make_pinned(driver, sizeof(int32_t), "page-locked host memory")) {
  std::copy_n(arenas, 4, arenas_);
  int most = 0;
  for (const ProgramInfo& p : plan.programs) most = std::max(most, collectives_of(p));
  std::vector<int32_t> numbers(static_cast<size_t>(most) + 1);
  std::iota(numbers.begin(), numbers.end(), 0);
  const size_t bytes = numbers.size() * sizeof(int32_t);
  numbers_ = make_memory(driver, static_cast<int64_t>(bytes), "numbers of collectives");
  driver.upload(numbers_.get(), numbers.data(), bytes, stream_.get());
  driver.stream_synchronize(stream_.get());
  *static_cast<int32_t*>(progress_.get()) = 0;
  gathered_ = make_memory(driver, gathered_bytes(), "room for what ranks gather");
  if (in_order) staging_ = make_memory(driver, staging_bytes(), "room for sums in a fixed order");
  nccl_ = std::make_unique<NcclCommunicator>(
      world, [&gpu] { gpu.use(); }, stream_.get(), in_order ? sums_in_order() : RankSums(), staging_.get());
  connect();
  world.watch().follow([this](int64_t& done, std::string& what) { where(done, what); });
}

/// NCCL connects ranks at the first collective of a kind, which it must not do inside a capture. So each kind that
/// programs use is executed once: sums (in a fixed order: sends, receives and broadcasts), gathers, broadcasts.
void Collectives::connect() {
  constexpr int64_t kEach = 16;  // floats per rank, so that in a fixed order every rank sends to every other
  const int64_t floats = kEach * world_.ranks(), bytes = floats * int64_t{sizeof(float)};
  const Memory room = make_memory(driver_, 2 * bytes, "the first collectives");
  const Event end = make_event(driver_, false);
  const DevicePtr from = room.get(), to = from + static_cast<DevicePtr>(bytes);
  driver_.fill(from, 0, static_cast<size_t>(2 * bytes), stream_.get());
  if (staging_.get() == 0 || staging_bytes() >= bytes)
    nccl_->all_reduce("the first sum", reinterpret_cast<const float*>(from), reinterpret_cast<float*>(to), floats);
  nccl_->all_gather("the first gather", reinterpret_cast<const std::byte*>(from), reinterpret_cast<std::byte*>(to),
                    kEach * int64_t{sizeof(float)});
  nccl_->broadcast("the first broadcast", reinterpret_cast<std::byte*>(to), bytes, 0);
  driver_.event_record(end.get(), stream_.get());
  wait(end.get());
}

Collectives::~Collectives() { world_.watch().follow({}); }

DevicePtr Collectives::address(int tensor) const {
  const TensorInfo& t = plan_.tensors[tensor];
  return arenas_[static_cast<int>(t.arena)] + static_cast<DevicePtr>(t.offset);
}

int64_t Collectives::staging_bytes() const {
  int64_t most = 0;
  for (const ProgramInfo& p : plan_.programs)
    for (const StepInfo& s : p.steps)
      if (s.kind == StepKind::all_reduce)
        most = std::max(most, plan_.tensors[s.args[0]].bytes / int64_t{sizeof(float)});
  return rank_part(most, world_.ranks()) * world_.ranks() * int64_t{sizeof(float)};
}

int64_t Collectives::gathered_bytes() const {
  int64_t most = 0;
  for (const ProgramInfo& p : plan_.programs)
    for (int i = 0; i < p.steps.size; ++i) {
      const int end = end_of_run(p, i);
      int64_t bytes = 0;
      for (int j = i; j < end && end - i > 1; ++j) bytes += room_of(plan_, p.steps[j]);
      most = std::max(most, bytes);
    }
  return most * world_.ranks();
}

/// Sums by kernels/cuda/rank_sum.cuh.
RankSums Collectives::sums_in_order() const {
  constexpr int64_t kChunk = 1024;  // rank_sum_chunk
  const auto found = std::find_if(plan_.kernels.begin(), plan_.kernels.end(),
                                  [](const KernelInfo& k) { return std::string_view(k.tmpl) == "rank_sum"; });
  if (found == plan_.kernels.end())
    throw InputError(std::string(plan_.name) + " holds no kernel for --deterministic; compile it anew with --ranks " +
                     std::to_string(world_.ranks()));
  const int kernel = static_cast<int>(found - plan_.kernels.begin());
  return [this, kernel](DevicePtr rows, int64_t stride, DevicePtr to, int64_t n, StreamHandle stream) {
    Params params{};
    params.buf[0] = rows;
    params.buf[1] = to;
    params.rows = n;
    params.groups = world_.ranks();
    params.extent[0] = stride;
    void* arguments[] = {&params};
    driver_.launch(kernels_.function(kernel), static_cast<unsigned>((n + kChunk - 1) / kChunk), 1, 1,
                   static_cast<unsigned>(kernels_.block(kernel).threads), 1, 1, 0, stream, arguments, nullptr);
  };
}

void Collectives::enqueue(int program, int step, StreamHandle compute) const {
  const ProgramInfo& p = plan_.programs[program];
  const StepInfo& s = p.steps[step];
  if (s.kind == StepKind::await) return await(compute);
  const DevicePtr from = address(s.args[0]), to = address(s.args[1]);
  const int64_t bytes = plan_.tensors[s.args[s.kind == StepKind::own_rows ? 1 : 0]].bytes;
  if (s.kind == StepKind::own_rows) {
    if (bytes > 0)
      driver_.copy(to, from + static_cast<DevicePtr>(bytes * world_.rank()), static_cast<size_t>(bytes), compute);
    return;
  }
  const int end = s.kind == StepKind::all_gather ? end_of_run(p, step) : step + 1;
  if (end == step) return;  // sent in the message of the first of its run
  driver_.event_record(ready_.get(), compute);
  driver_.stream_wait(stream_.get(), ready_.get(), 0);
  tell(static_cast<int>(std::count_if(p.steps.begin(), p.steps.begin() + step, begins)));
  if (end - step > 1) return gather(p, step, end);
  const char* const name = plan_.tensors[s.args[1]].name;
  if (s.kind == StepKind::all_reduce)
    nccl_->all_reduce(name, reinterpret_cast<const float*>(from), reinterpret_cast<float*>(to),
                      bytes / int64_t{sizeof(float)});
  else nccl_->all_gather(name, reinterpret_cast<const std::byte*>(from), reinterpret_cast<std::byte*>(to), bytes);
}

/// Sends the operands of the gathers [first, end) as one message, and copies every result from the parts of all ranks.
void Collectives::gather(const ProgramInfo& p, int first, int end) const {
  int64_t total = 0;
  for (int i = first; i < end; ++i) total += room_of(plan_, p.steps[i]);
  const DevicePtr own = gathered_.get() + static_cast<DevicePtr>(total * world_.rank());
  int64_t at = 0;
  for (int i = first; i < end; ++i) {
    const int32_t from = p.steps[i].args[0];
    driver_.copy(own + static_cast<DevicePtr>(at), address(from), static_cast<size_t>(plan_.tensors[from].bytes),
                 stream_.get());
    at += room_of(plan_, p.steps[i]);
  }
  nccl_->all_gather("what follows the forward pass", reinterpret_cast<const std::byte*>(own),
                    reinterpret_cast<std::byte*>(gathered_.get()), total);
  at = 0;
  for (int i = first; i < end; ++i) {
    const StepInfo& s = p.steps[i];
    const size_t bytes = static_cast<size_t>(plan_.tensors[s.args[0]].bytes);
    CopyRows rows;
    rows.from = gathered_.get() + static_cast<DevicePtr>(at);
    rows.from_pitch = static_cast<size_t>(total);
    rows.to = address(s.args[1]);
    rows.to_pitch = rows.width = bytes;
    rows.rows = static_cast<size_t>(world_.ranks());
    driver_.copy_rows(&rows, stream_.get());
    at += room_of(plan_, s);
  }
}

void Collectives::await(StreamHandle compute) const {
  driver_.event_record(done_.get(), stream_.get());
  driver_.stream_wait(compute, done_.get(), 0);
}

/// Copies the number into the memory that where() reads.
void Collectives::tell(int done) const {
  driver_.download(progress_.get(), numbers_.get() + static_cast<DevicePtr>(done) * sizeof(int32_t), sizeof(int32_t),
                   stream_.get());
}

void Collectives::where(int64_t& done, std::string& what) const {
  const int program = program_;
  if (program < 0) return;
  done = std::atomic_ref<int32_t>(*static_cast<int32_t*>(progress_.get())).load(std::memory_order_relaxed);
  int64_t at = done;
  for (const StepInfo& s : plan_.programs[program].steps) {
    if (!begins(s) || at-- > 0) continue;
    what = std::string(s.kind == StepKind::all_reduce ? "all_reduce of " : "all_gather of ") +
           plan_.tensors[s.args[1]].name;
    return;
  }
}

void Collectives::from_first_rank(int tensor) {
  const TensorInfo& t = plan_.tensors[tensor];
  nccl_->broadcast(t.name, reinterpret_cast<std::byte*>(address(tensor)), t.bytes, 0);
  driver_.event_record(done_.get(), stream_.get());
  wait(done_.get());
}

void Collectives::wait(EventHandle event) {
  const auto start = std::chrono::steady_clock::now();
  const auto waited = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  constexpr double kLook = 0.02;  // seconds between checks of the other ranks
  double next = kLook;
  for (;;) {
    const Result r = driver_.event_query.unchecked(event);
    if (r == kSuccess) return;
    if (r != kNotReady) return driver_.event_synchronize(event);  // fails in the same way, with a message
    if (const double seconds = waited(); seconds >= next) {
      nccl_->check(seconds);
      next = seconds + kLook;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

}  // namespace moproc::cuda
