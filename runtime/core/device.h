// Where a plan's tensors live and its programs run: the CPU (cpu/device.h) or a GPU (cuda/device.h). A
// Session owns one and adds names, logical order and initial values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace moproc {

/// Called with the number of steps known to have ended, on the thread that runs the program.
using Progress = std::function<void(int done)>;

/// What a device could do at most, for the profile; zeros: not known.
struct Roofline {
  double bytes_per_second = 0, flops_per_second = 0;
};

/// Memory of a device with memory of its own, in bytes.
struct DeviceMemoryUse {
  int64_t planned = 0;  // all that this session asked for
  int64_t taken = 0;    // what is gone since it began: code, graphs and the driver's own included
  int64_t free = 0, total = 0;
};

class Device {
 public:
  virtual ~Device() = default;

  /// "x86-64-v4, 2 threads", "NVIDIA H200 (sm_90)".
  virtual std::string name() const = 0;
  /// The tensor's bytes in stored order, for the host to read and write; null when only the device reaches
  /// them. Throws std::logic_error for an input while every slot is taken by a run.
  virtual std::byte* host(int tensor) = 0;
  /// Copies a whole tensor in stored order, after all runs that were started. An input is read from and
  /// written to where the host fills it.
  virtual void read(int tensor, std::byte* stored) = 0;
  virtual void write(int tensor, const std::byte* stored) = 0;

  /// Runs that may be under way at once: each has its own inputs and outputs.
  virtual int slots() const { return 1; }
  /// Starts a program on the inputs as they are now; afterwards host() of an input is that of the next run,
  /// with other contents. At most slots() runs may be started and not waited for.
  virtual void start(int program, const Progress& progress) = 0;
  /// Waits for the oldest run; host() of an output is that run's until the next wait().
  virtual void wait() = 0;
  /// start() and wait() with nothing else under way; inputs stay as they are.
  virtual void run(int program, const Progress& progress) = 0;
  /// The input keeps its present value in every later run, whatever is written to it, and is uploaded no
  /// more. Nothing may be under way. Only of a device with memory of its own: throws std::logic_error
  /// elsewhere.
  virtual void keep(int tensor) = 0;

  /// Of several ranks: the tensor, a state, becomes rank 0's on all. Called by all, with nothing under way. Throws
  /// LostRank.
  virtual void from_first_rank(int tensor) = 0;

  /// Bytes of the arenas and of `extra`: scratch of threads, or buffers of uploads.
  virtual int64_t memory_bytes() const = 0;
  virtual const char* extra() const = 0;
  /// Whether the device has memory of its own, and then how much of it is used.
  virtual bool separate() const { return false; }
  virtual DeviceMemoryUse memory_use() { return {}; }
  virtual Roofline roofline() const { return {}; }
};

}  // namespace moproc
