// One GPU of the driver: its properties, and the context that owns all memory and code of a session.
#pragma once

#include <cstdint>
#include <string>

#include "core/device.h"
#include "cuda/driver.h"

namespace moproc::cuda {

struct GpuInfo {
  std::string name;  // "NVIDIA H200"
  int major = 0, minor = 0;
  int shared_bytes = 0;  // maximum of dynamic shared memory per block
  int64_t memory = 0;

  /// "NVIDIA H200 (sm_90)".
  std::string show() const;
};

/// Throws InputError if there is no such GPU, CudaError if a call fails.
GpuInfo gpu_info(const Driver& driver, int ordinal);

/// Peak rates from a small table of data sheets, by the GPU's name; zeros if it is not in the table. The arithmetic
/// rate is the dense one of the precision: bf16, tf32, or f32 as three tf32 products.
Roofline roofline_of(const std::string& gpu, const std::string& precision);

/// Holds the GPU's primary context. Every thread must call use() before it calls the driver.
class Gpu {
 public:
  /// Throws InputError if there is no such GPU.
  Gpu(const Driver& driver, int ordinal);
  ~Gpu();
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  const GpuInfo& info() const { return info_; }
  void use() const { driver_.context_use(context_); }
  void use_unchecked() const { driver_.context_use.unchecked(context_); }
  /// Free bytes of device memory now, and when the context was made.
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
