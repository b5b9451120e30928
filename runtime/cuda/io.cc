// Slots are used in turn: fill_ is the next to start; the taken_ slots before it are in flight; read_ is the last one
// that was waited for.
#include "cuda/io.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include "core/error.h"

namespace moproc::cuda {
namespace {

constexpr int64_t kArenaAlign = 64;  // bytes; alignment of tensors in an arena: a smaller gap between two is padding

int64_t io_bytes(const Plan& plan) { return plan.arena_bytes[static_cast<int>(Arena::io)]; }

}  // namespace

int64_t Io::device_bytes(const Plan& plan) { return kSlots * io_bytes(plan); }

Io::Io(const Driver& driver, const Plan& plan, DevicePtr arena)
    : driver_(driver),
      plan_(plan),
      arena_(arena),
      use_(static_cast<size_t>(plan.tensors.size), Use::none),
      kept_(static_cast<size_t>(plan.tensors.size), false) {
  for (const ProgramInfo& p : plan.programs) {
    mark(p.inputs, Use::input);
    mark(p.outputs, Use::output);
  }
  for (const ProgramInfo& p : plan.programs) {
    inputs_.push_back(ranges(p.inputs, true));
    outputs_.push_back(ranges(p.outputs, true));
  }
  list_uploads();
  const int64_t bytes = io_bytes(plan);
  for (Slot& s : slots_) {
    s.host = make_pinned(driver, bytes, "page-locked host memory for inputs and outputs");
    if (bytes > 0) std::memset(s.host.get(), 0, static_cast<size_t>(bytes));
    s.buffer = make_memory(driver, bytes, "an upload buffer");
    s.uploaded = make_event(driver, false);
    s.done = make_event(driver, false);
  }
}

void Io::mark(const Span<int32_t>& tensors, Use use) {
  for (const int32_t t : tensors) {
    const TensorInfo& info = plan_.tensors[t];
    Use& now = use_[static_cast<size_t>(t)];
    if (info.arena != Arena::io)
      throw InputError(std::string(plan_.name) + ": " + info.name + " is an input or output outside the io arena");
    if (now != Use::none && now != use)
      throw InputError(std::string(plan_.name) + ": " + info.name + " is an input and an output");
    now = use;
  }
}

/// The ranges of the tensors' bytes in their arena; neighbours are joined.
std::vector<Io::Range> Io::ranges(const Span<int32_t>& tensors, bool with_kept) const {
  std::vector<Range> all;
  for (const int32_t t : tensors)
    if (plan_.tensors[t].bytes > 0 && (with_kept || !kept_[static_cast<size_t>(t)]))
      all.push_back({plan_.tensors[t].offset, plan_.tensors[t].bytes});
  std::sort(all.begin(), all.end(), [](const Range& a, const Range& b) { return a.offset < b.offset; });
  std::vector<Range> joined;
  for (const Range& r : all) {
    const bool near = !joined.empty() && r.offset - (joined.back().offset + joined.back().bytes) < kArenaAlign;
    if (near) joined.back().bytes = std::max(joined.back().bytes, r.offset + r.bytes - joined.back().offset);
    else joined.push_back(r);
  }
  return joined;
}

void Io::list_uploads() {
  uploads_.clear();
  for (const ProgramInfo& p : plan_.programs) uploads_.push_back(ranges(p.inputs, false));
}

std::byte* Io::host(int tensor) const {
  const Use use = use_[static_cast<size_t>(tensor)];
  if (use == Use::none) return nullptr;
  if (use == Use::input && taken_ == kSlots)
    throw std::logic_error(std::string(plan_.tensors[tensor].name) +
                           ": all slots are in use; wait for a run before inputs are filled in");
  return at(slots_[use == Use::input ? fill_ : read_], plan_.tensors[tensor].offset);
}

void Io::begin(int program, StreamHandle uploads, StreamHandle stream) {
  const Doing doing(driver_, {"the inputs", program});
  const Slot& s = slots_[fill_];
  for (const Range& r : uploads_[static_cast<size_t>(program)])
    driver_.upload(s.buffer.get() + static_cast<DevicePtr>(r.offset), at(s, r.offset), static_cast<size_t>(r.bytes),
                   uploads);
  driver_.event_record(s.uploaded.get(), uploads);
  driver_.stream_wait(stream, s.uploaded.get(), 0);
  for (const Range& r : inputs_[static_cast<size_t>(program)]) {
    const DevicePtr offset = static_cast<DevicePtr>(r.offset);
    driver_.copy(arena_ + offset, s.buffer.get() + offset, static_cast<size_t>(r.bytes), stream);
  }
}

void Io::end(int program, StreamHandle stream) {
  const Doing doing(driver_, {"the outputs", program});
  const Slot& s = slots_[fill_];
  for (const Range& r : outputs_[static_cast<size_t>(program)])
    driver_.download(at(s, r.offset), arena_ + static_cast<DevicePtr>(r.offset), static_cast<size_t>(r.bytes), stream);
  driver_.event_record(s.done.get(), stream);
  fill_ = (fill_ + 1) % kSlots;
  ++taken_;
}

void Io::wait(const std::function<void(EventHandle)>& wait_for) {
  read_ = (fill_ + kSlots - taken_) % kSlots;
  --taken_;
  wait_for(slots_[read_].done.get());
}

void Io::keep(int tensor, StreamHandle uploads) {
  const TensorInfo& t = plan_.tensors[tensor];
  if (use_[static_cast<size_t>(tensor)] != Use::input || !idle())
    throw std::logic_error(std::string(t.name) + ": only an input can be kept, while nothing runs");
  const std::byte* const from = at(slots_[fill_], t.offset);
  for (const Slot& s : slots_)
    driver_.upload(s.buffer.get() + static_cast<DevicePtr>(t.offset), from, static_cast<size_t>(t.bytes), uploads);
  driver_.stream_synchronize(uploads);
  kept_[static_cast<size_t>(tensor)] = true;
  list_uploads();
}

}  // namespace moproc::cuda
