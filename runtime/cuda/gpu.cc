// Properties of GPUs, and the table of rooflines. The first entry of the table whose name is part of the driver's name
// for the GPU applies.
#include "cuda/gpu.h"

#include "core/error.h"

namespace moproc::cuda {
namespace {

struct Sheet {
  const char* name;
  double gb, bf16, tf32;  // GB/s, TFLOP/s
};

constexpr Sheet kSheets[] = {
    {"B200", 7700, 2250, 1125},
    {"GH200", 4000, 989, 494},
    {"H200", 4800, 989, 494},
    {"H100 PCIe", 2039, 756, 378},
    {"H100 NVL", 3938, 835, 417},
    {"H100", 3352, 989, 494},
    {"A100-SXM4-80GB", 2039, 312, 156},
    {"A100 80GB PCIe", 1935, 312, 156},
    {"A100", 1555, 312, 156},
    {"A30", 933, 165, 82},
    {"A40", 696, 150, 75},
    {"L40S", 864, 362, 183},
    {"RTX 4090", 1008, 165, 82},
    {"RTX 3090", 936, 71, 35},
};

/// The value of one attribute of a device.
int attribute(const Driver& d, int which, DeviceId id) {
  int value = 0;
  d.device_attribute(&value, which, id);
  return value;
}

DeviceId checked_device(const Driver& d, int ordinal) {
  if (ordinal < 0 || ordinal >= d.devices())
    throw InputError("--gpu " + std::to_string(ordinal) + ": the driver shows " + std::to_string(d.devices()) +
                     (d.devices() == 1 ? " GPU" : " GPUs") + ", numbered from 0 (CUDA_VISIBLE_DEVICES hides others)");
  DeviceId id = 0;
  d.device_get(&id, ordinal);
  return id;
}

}  // namespace

std::string GpuInfo::show() const { return name + " (sm_" + std::to_string(major) + std::to_string(minor) + ")"; }

GpuInfo gpu_info(const Driver& d, int ordinal) {
  const DeviceId id = checked_device(d, ordinal);
  char name[256] = "";
  d.device_name(name, sizeof name, id);
  size_t memory = 0;
  d.device_memory(&memory, id);
  return {name, attribute(d, kAttributeComputeMajor, id), attribute(d, kAttributeComputeMinor, id),
          attribute(d, kAttributeMaxSharedOptin, id), static_cast<int64_t>(memory)};
}

Roofline roofline_of(const std::string& gpu, const std::string& precision) {
  for (const Sheet& s : kSheets) {
    if (gpu.find(s.name) == std::string::npos) continue;
    const double peak = precision == "bf16" ? s.bf16 : precision == "tf32" ? s.tf32 : s.tf32 / 3;
    return {s.gb * 1e9, peak * 1e12};
  }
  return {};
}

Gpu::Gpu(const Driver& driver, int ordinal) : driver_(driver), info_(gpu_info(driver, ordinal)) {
  id_ = checked_device(driver, ordinal);
  driver.context_retain(&context_, id_);
  try {
    use();
    free_at_start_ = free_bytes();
  } catch (...) {
    driver.context_release.unchecked(id_);
    throw;
  }
}

Gpu::~Gpu() { driver_.context_release.unchecked(id_); }

int64_t Gpu::free_bytes() const {
  size_t free = 0, total = 0;
  driver_.memory_info(&free, &total);
  return static_cast<int64_t>(free);
}

}  // namespace moproc::cuda
