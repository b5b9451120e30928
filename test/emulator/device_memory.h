// Device memory of a test: between two zones of pages that fault, unwritten bytes 0xff (NaN in every float type).
#pragma once

#include <cstddef>
#include <string>

namespace emulator {

/// One allocation. Against the upper zone (at the 64 bytes that plans align tensors to: up to 63 bytes before
/// it are looked at by intact()), or, where `low` is set, against the lower one.
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
  /// Everything unwritten again.
  void poison();
  /// Whether the zones beside the data are as they were.
  bool intact() const;
  /// What an address in this mapping is, in words; empty for another one.
  std::string describe(const unsigned char* address) const;

 private:
  unsigned char *map_, *data_;
  size_t bytes_, mapped_;
  std::string name_;
};

/// Looks through all DeviceMemory that lives.
std::string describe_device_address(const unsigned char* address);

}  // namespace emulator
