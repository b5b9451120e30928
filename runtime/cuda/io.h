// Inputs and outputs of runs. There are two slots; each has page-locked host memory of the io arena's layout and an
// upload buffer on the device, so that the next run's inputs are uploaded while a run reads its own. Surprising: a run
// first copies its slot's buffer into the arena, because captured launches have one fixed address per input. At device
// bandwidth that costs little compared with the upload.
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
  /// Bytes of device memory that the slots need.
  static int64_t device_bytes(const Plan& plan);

  /// `arena`: the device's io arena. Throws InputError if a tensor is both an input and an output, or one of them is
  /// not in the io arena.
  Io(const Driver& driver, const Plan& plan, DevicePtr arena);

  /// For an input, the memory that the host fills for the next run; for an output, the memory with the result of the
  /// last run that was waited for; null for other tensors. Throws std::logic_error for an input if all slots are in
  /// flight.
  std::byte* host(int tensor) const;
  bool idle() const { return taken_ == 0; }

  /// Uploads the inputs on the stream `uploads`, and makes `stream` wait for them and copy them into the arena.
  void begin(int program, StreamHandle uploads, StreamHandle stream);
  /// Enqueues the download of the outputs on the stream. The slot is in flight until wait().
  void end(int program, StreamHandle stream);
  /// Waits for the oldest slot in flight; `wait_for` must wait for its event.
  void wait(const std::function<void(EventHandle)>& wait_for);
  /// Gives the next run the inputs of the last one. No run may be in flight.
  void step_back() { fill_ = (fill_ + kSlots - 1) % kSlots; }
  /// Fixes the input at its present value in all slots; it is not uploaded again. No run may be in flight.
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
