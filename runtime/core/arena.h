// An arena: one block of memory for all tensors of one kind. It is zero-filled, page-aligned and never resized.
// Surprising: the operating system provides a page when it is first touched, so only the used pages cost memory.
#pragma once

#include <cstddef>
#include <cstdint>

namespace moproc {

/// Owns `bytes` zero-filled bytes, aligned to 4096 bytes, or to 2 MiB if the block is at least that large. Throws
/// std::bad_alloc.
class ArenaMemory {
 public:
  explicit ArenaMemory(int64_t bytes);
  ~ArenaMemory();
  ArenaMemory(ArenaMemory&& other) noexcept;
  ArenaMemory& operator=(ArenaMemory&&) = delete;

  std::byte* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

 private:
  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
  void* mapped_ = nullptr;
  size_t mapped_bytes_ = 0;
};

}  // namespace moproc
