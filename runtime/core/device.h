// A device holds a plan's tensors and runs its programs: the CPU (cpu/device.h) or a GPU (cuda/device.h). A Session
// owns one device and adds names, logical order and initial values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace moproc {

/// Called on the thread that runs the program, with the number of steps that are known to have ended.
using Progress = std::function<void(int done)>;

/// The device's peak rates, for the profile. Zero means unknown.
struct Roofline {
  double bytes_per_second = 0, flops_per_second = 0;
};

/// Memory use, in bytes, of a device that has its own memory.
struct DeviceMemoryUse {
  int64_t planned = 0;  // everything that this session allocated
  int64_t taken = 0;    // decrease of free memory since the session began, code, graphs and driver included
  int64_t free = 0, total = 0;
};

class Device {
 public:
  virtual ~Device() = default;

  /// "x86-64-v4, 2 threads", "NVIDIA H200 (sm_90)".
  virtual std::string name() const = 0;
  /// The tensor's bytes in stored order, for the host to read and write; null if only the device can access them.
  /// Throws std::logic_error for an input while runs occupy all slots.
  virtual std::byte* host(int tensor) = 0;
  /// Copies a whole tensor in stored order once all started runs have ended. For an input, the copy is from or to the
  /// memory that the host fills for the next run.
  virtual void read(int tensor, std::byte* stored) = 0;
  virtual void write(int tensor, const std::byte* stored) = 0;

  /// How many runs may be in flight at once. Each has its own inputs and outputs.
  virtual int slots() const { return 1; }
  /// Starts a program on the present inputs. After this, host() of an input returns the memory of the next run, whose
  /// contents differ. At most slots() runs may be started without a wait().
  virtual void start(int program, const Progress& progress) = 0;
  /// Waits for the oldest run. Until the next wait(), host() of an output returns that run's result.
  virtual void wait() = 0;
  /// start() and wait() with no other run in flight. The inputs keep their values for the next run.
  virtual void run(int program, const Progress& progress) = 0;
  /// Fixes the input at its present value for all later runs: it is not uploaded again, whatever is written to it. No
  /// run may be in flight. Throws std::logic_error on a device without its own memory.
  virtual void keep(int tensor) = 0;

  /// Replaces the state tensor on every rank by rank 0's. All ranks call it, with no run in flight. Throws LostRank.
  virtual void from_first_rank(int tensor) = 0;

  /// Bytes of the arenas and of what extra() names: scratch of threads, or upload buffers.
  virtual int64_t memory_bytes() const = 0;
  virtual const char* extra() const = 0;
  /// How much memory is used, if the device has its own.
  virtual bool separate() const { return false; }
  virtual DeviceMemoryUse memory_use() { return {}; }
  virtual Roofline roofline() const { return {}; }
};

}  // namespace moproc
