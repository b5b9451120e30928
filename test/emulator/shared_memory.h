// Shared memory of a block: fresh (0xff) for every block, dynamic part against a page that faults, static arrays
// with untouched zones between them that are checked when the block ends.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace emulator {

class SharedMemory {
 public:
  static constexpr size_t limit = 227 << 10;        // bytes a block can have, compute capability 8.0 to 9.0
  static constexpr size_t static_limit = 48 << 10;  // of these, static
  explicit SharedMemory(size_t dynamic_bytes);
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  void poison();
  /// What was written beside an array; empty if nothing.
  std::string damage() const;
  unsigned char* dynamic() const { return dynamic_; }
  size_t dynamic_bytes() const { return dynamic_bytes_; }
  /// Null where the block's static arrays exceed what a kernel may have.
  void* array(const void* key, size_t bytes, size_t alignment);
  /// What lies at a faulting address: empty if it is not near this memory.
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
