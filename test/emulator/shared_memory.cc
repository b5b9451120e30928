// Shared memory: mappings, each followed by a zone that faults.
#include "shared_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <new>

namespace emulator {

namespace {

constexpr size_t page_bytes = 4096, guard_bytes = 16 * page_bytes;

/// `bytes` bytes of memory (a multiple of a page), followed by a zone that faults.
unsigned char* map(size_t bytes) {
  void* const p = mmap(nullptr, bytes + guard_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) throw std::bad_alloc();
  mprotect(static_cast<unsigned char*>(p) + bytes, guard_bytes, PROT_NONE);
  return static_cast<unsigned char*>(p);
}

bool untouched(const unsigned char* begin, const unsigned char* end) {
  return std::all_of(begin, end, [](unsigned char c) { return c == 0xff; });
}

constexpr size_t static_bytes = 128 << 10;  // the largest static part and one zone per array

}  // namespace

SharedMemory::SharedMemory(size_t dynamic_bytes)
    : dynamic_bytes_(dynamic_bytes), dynamic_mapped_((dynamic_bytes + 2 * page_bytes - 1) / page_bytes * page_bytes) {
  dynamic_map_ = map(dynamic_mapped_);
  static_map_ = map(static_bytes);
  // As near to the faulting page as the alignment of 1024 bytes allows.
  dynamic_ = dynamic_map_ + dynamic_mapped_ - (dynamic_bytes + 1023) / 1024 * 1024;
  std::memset(static_map_, 0xff, static_bytes);
}

SharedMemory::~SharedMemory() {
  munmap(dynamic_map_, dynamic_mapped_ + guard_bytes);
  munmap(static_map_, static_bytes + guard_bytes);
}

void SharedMemory::poison() {
  std::memset(dynamic_map_, 0xff, dynamic_mapped_);
  std::memset(static_map_, 0xff, std::min(used_ + redzone, static_bytes));
  arrays_.clear();
  used_ = asked_ = 0;
}

std::string SharedMemory::damage() const {
  if (!untouched(dynamic_map_, dynamic_)) return "a write before the beginning of dynamic shared memory";
  if (!untouched(dynamic_ + dynamic_bytes_, dynamic_map_ + dynamic_mapped_))
    return "a write past the " + std::to_string(dynamic_bytes_) + " bytes of dynamic shared memory";
  for (size_t i = 0; i < arrays_.size(); ++i) {
    const unsigned char* const end = static_map_ + arrays_[i].at + arrays_[i].bytes;
    const unsigned char* const next =
        static_map_ + (i + 1 < arrays_.size() ? arrays_[i + 1].at : std::min(used_ + redzone, static_bytes));
    if (!untouched(end, next))
      return "a write beside a static shared array of " + std::to_string(arrays_[i].bytes) + " bytes";
  }
  return "";
}

void* SharedMemory::array(const void* key, size_t bytes, size_t alignment) {
  for (const Array& a : arrays_)
    if (a.key == key) return static_map_ + a.at;
  alignment = std::max<size_t>(alignment, 16);
  const size_t at = (used_ + redzone + alignment - 1) / alignment * alignment;
  asked_ += (bytes + 15) / 16 * 16;
  if (asked_ > static_limit || asked_ + dynamic_bytes_ > limit || at + bytes > static_bytes) return nullptr;
  arrays_.push_back({key, at, bytes});
  used_ = at + bytes;
  return static_map_ + at;
}

std::string SharedMemory::describe(const unsigned char* address) const {
  if (address >= dynamic_map_ && address < dynamic_map_ + dynamic_mapped_ + guard_bytes)
    return std::to_string(address - (dynamic_ + dynamic_bytes_)) + " bytes past the end of the " +
           std::to_string(dynamic_bytes_) + " bytes of dynamic shared memory";
  if (address >= static_map_ && address < static_map_ + static_bytes + guard_bytes)
    return "past the static shared arrays";
  return "";
}

}  // namespace emulator
