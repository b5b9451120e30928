// Shared memory of a block, filled with 0xff for every block. The dynamic part lies against a page that faults. Between
// static arrays there are zones that must be unchanged when the block ends.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace emulator {

class SharedMemory {
 public:
  static constexpr size_t limit = 227 << 10;        // bytes per block; that of compute capability 9.0
  static constexpr size_t static_limit = 48 << 10;  // of these, static
  explicit SharedMemory(size_t dynamic_bytes);
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  void poison();
  /// Describes a write beside an array; empty if there is none.
  std::string damage() const;
  unsigned char* dynamic() const { return dynamic_; }
  size_t dynamic_bytes() const { return dynamic_bytes_; }
  /// The array of `key`; null if the block's static arrays exceed the limit of a kernel.
  void* array(const void* key, size_t bytes, size_t alignment);
  /// Describes a faulting address; empty if it is not near this memory.
  std::string describe(const unsigned char* address) const;

 private:
  struct Array {
    const void* key;
    size_t at, bytes;
  };
  static constexpr size_t redzone = 256;
  unsigned char *dynamic_map_ = nullptr, *static_map_ = nullptr, *dynamic_ = nullptr;
  size_t dynamic_bytes_, dynamic_mapped_, used_ = 0, asked_ = 0;
  std::vector<Array> arrays_;
};

}  // namespace emulator
