// One block of memory for everything of one kind: zero-filled, aligned to a page, never resized.
// Surprising: pages come from the kernel on first touch, so an arena costs what is used of it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace moproc {

/// Owns `bytes` zero-filled bytes, aligned to at least 4096 (2 MiB for blocks of that size). Throws
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
