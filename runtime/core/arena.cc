// Arenas are anonymous mappings. Those of 2 MiB and more are aligned for huge pages, which madvise requests.
#include "core/arena.h"

#include <sys/mman.h>

#include <new>
#include <utility>

namespace moproc {
namespace {

constexpr size_t kHuge = size_t{2} << 20;

}  // namespace

ArenaMemory::ArenaMemory(int64_t bytes) : bytes_(bytes) {
  if (bytes < 0) throw std::bad_alloc();
  if (bytes == 0) return;
  const size_t want = static_cast<size_t>(bytes);
  const bool huge = want >= kHuge;
  mapped_bytes_ = want + (huge ? kHuge : 0);
  mapped_ = mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped_ == MAP_FAILED) {
    mapped_ = nullptr;
    throw std::bad_alloc();
  }
  uintptr_t start = reinterpret_cast<uintptr_t>(mapped_);
  if (huge) start = (start + kHuge - 1) / kHuge * kHuge;
  data_ = reinterpret_cast<std::byte*>(start);
  if (huge) madvise(data_, want, MADV_HUGEPAGE);  // a hint: kernels without huge pages refuse it, harmlessly
}

ArenaMemory::~ArenaMemory() {
  if (mapped_) munmap(mapped_, mapped_bytes_);
}

ArenaMemory::ArenaMemory(ArenaMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      mapped_(std::exchange(other.mapped_, nullptr)),
      mapped_bytes_(std::exchange(other.mapped_bytes_, 0)) {}

}  // namespace moproc
