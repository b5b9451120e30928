// Device memory of a test, between two zones of pages that fault. Unwritten bytes are 0xff (NaN in every float type).
#pragma once

#include <cstddef>
#include <string>

namespace emulator {

/// One allocation. It lies against the upper zone, aligned to the 64 bytes to which plans align tensors; intact()
/// checks the bytes, at most 63, between its end and the zone. If `low` is set, it lies against the lower zone.
class DeviceMemory {
 public:
  explicit DeviceMemory(size_t bytes, std::string name = "buffer", bool low = false);
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  unsigned char* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  const std::string& name() const { return name_; }
  void set_name(std::string name) { name_ = std::move(name); }
  /// Fills the data and the bytes around it with 0xff, as if nothing was written.
  void poison();
  /// Whether the bytes around the data are unchanged.
  bool intact() const;
  /// Describes an address in this mapping in words; empty for other addresses.
  std::string describe(const unsigned char* address) const;

 private:
  unsigned char *map_, *data_;
  size_t bytes_, mapped_;
  std::string name_;
};

/// Describes the address by the allocation in use that contains it; empty if there is none.
std::string describe_device_address(const unsigned char* address);

}  // namespace emulator
