// One GPU of the driver: what it is, and the context that all memory and code of a session belong to.
#pragma once

#include <cstdint>
#include <string>

#include "core/device.h"
#include "cuda/driver.h"

namespace moproc::cuda {

struct GpuInfo {
  std::string name;  // "NVIDIA H200"
  int major = 0, minor = 0;
  int shared_bytes = 0;  // the most dynamic shared memory of a block
  int64_t memory = 0;

  /// "NVIDIA H200 (sm_90)".
  std::string show() const;
};

/// Throws CudaError; InputError when there is no such GPU.
GpuInfo gpu_info(const Driver& driver, int ordinal);

/// From a small table by name (data sheets; dense arithmetic of the precision: bf16, tf32, or f32 as three
/// tf32 products); zeros for a GPU that is not in it.
Roofline roofline_of(const std::string& gpu, const std::string& precision);

/// The GPU's primary context, held. Every thread that calls the driver must use() it first.
class Gpu {
 public:
  /// Throws InputError when there is no such GPU.
  Gpu(const Driver& driver, int ordinal);
  ~Gpu();
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  const GpuInfo& info() const { return info_; }
  void use() const { driver_.context_use(context_); }
  void use_unchecked() const { driver_.context_use.unchecked(context_); }
  /// Free bytes now, and when the context was made.
  int64_t free_bytes() const;
  int64_t free_at_start() const { return free_at_start_; }

 private:
  const Driver& driver_;
  GpuInfo info_;
  DeviceId id_ = 0;
  Context context_ = nullptr;
  int64_t free_at_start_ = 0;
};

}  // namespace moproc::cuda
