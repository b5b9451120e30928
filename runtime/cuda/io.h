// Inputs and outputs: two slots of page-locked host memory, mirrors of the io arena, each with an upload
// buffer on the device, so that the next run's inputs go up while a run reads its own. Surprising: a run
// starts by copying its slot's buffer into the arena, since captured launches know but one address of an
// input; at device bandwidth that is nothing beside the upload.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "core/plan.h"
#include "cuda/handles.h"

namespace moproc::cuda {

class Io {
 public:
  static constexpr int kSlots = 2;
  /// Bytes of device memory that the slots take.
  static int64_t device_bytes(const Plan& plan);

  /// `arena` is the device's io arena. Throws InputError when a tensor is input and output at once or an
  /// input is no part of the io arena.
  Io(const Driver& driver, const Plan& plan, DevicePtr arena);

  /// Where the host fills an input for the next run, and reads an output of the last run waited for; null for
  /// other tensors. Throws std::logic_error for an input when all slots are under way.
  std::byte* host(int tensor) const;
  bool idle() const { return taken_ == 0; }

  /// Uploads the inputs on `uploads` and lets `stream` wait for them and put them in their place.
  void begin(int program, StreamHandle uploads, StreamHandle stream);
  /// Brings the outputs back when all that is on the stream is done; the slot is under way until wait().
  void end(int program, StreamHandle stream);
  /// Waits for the oldest slot under way; `wait_for` waits for its event.
  void wait(const std::function<void(EventHandle)>& wait_for);
  /// The next run's inputs are those of the last one again; nothing may be under way.
  void step_back() { fill_ = (fill_ + kSlots - 1) % kSlots; }
  /// The input is what the host filled in now, in all slots, and is uploaded no more.
  void keep(int tensor, StreamHandle uploads);

 private:
  struct Range {
    int64_t offset, bytes;
  };
  struct Slot {
    PinnedMemory host;
    Memory buffer;
    Event uploaded, done;
  };
  enum class Use : uint8_t { none, input, output };

  void mark(const Span<int32_t>& tensors, Use use);
  std::vector<Range> ranges(const Span<int32_t>& tensors, bool with_kept) const;
  void list_uploads();
  std::byte* at(const Slot& slot, int64_t offset) const { return static_cast<std::byte*>(slot.host.get()) + offset; }

  const Driver& driver_;
  const Plan& plan_;
  DevicePtr arena_;
  Slot slots_[kSlots];
  std::vector<Use> use_;  // by tensor
  std::vector<bool> kept_;
  std::vector<std::vector<Range>> uploads_, inputs_, outputs_;  // by program
  int fill_ = 0, taken_ = 0, read_ = 0;
};

}  // namespace moproc::cuda
