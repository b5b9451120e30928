// Device memory: one mapping per allocation, and the list of all allocations in use, for the report of a fault.
#include "device_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <new>
#include <vector>

namespace emulator {

namespace {

constexpr size_t page = 4096, alignment = 64;
constexpr size_t guard = 16 * page;  // a wrong index often misses by more than a page

struct Registry {
  std::mutex mutex;
  std::vector<const DeviceMemory*> all;
  static Registry& get() {
    static Registry registry;
    return registry;
  }
};

}  // namespace

DeviceMemory::DeviceMemory(size_t bytes, std::string name, bool low)
    : bytes_(bytes), mapped_((bytes + page - 1) / page * page + 2 * guard), name_(std::move(name)) {
  void* const p = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) throw std::bad_alloc();
  map_ = static_cast<unsigned char*>(p);
  mprotect(map_, guard, PROT_NONE);
  mprotect(map_ + mapped_ - guard, guard, PROT_NONE);
  data_ = low ? map_ + guard : map_ + mapped_ - guard - (bytes + alignment - 1) / alignment * alignment;
  poison();
  Registry& r = Registry::get();
  const std::lock_guard lock(r.mutex);
  r.all.push_back(this);
}

DeviceMemory::~DeviceMemory() {
  Registry& r = Registry::get();
  {
    const std::lock_guard lock(r.mutex);
    std::erase(r.all, this);
  }
  munmap(map_, mapped_);
}

void DeviceMemory::poison() { std::memset(map_ + guard, 0xff, mapped_ - 2 * guard); }

bool DeviceMemory::intact() const {
  const auto untouched = [](const unsigned char* begin, const unsigned char* end) {
    return std::all_of(begin, end, [](unsigned char c) { return c == 0xff; });
  };
  return untouched(map_ + guard, data_) && untouched(data_ + bytes_, map_ + mapped_ - guard);
}

std::string DeviceMemory::describe(const unsigned char* address) const {
  if (address < map_ || address >= map_ + mapped_) return "";
  const std::string of = name_ + " (" + std::to_string(bytes_) + " bytes)";
  if (address < data_) return std::to_string(data_ - address) + " bytes before " + of;
  if (address >= data_ + bytes_)
    return std::to_string(address - data_ - static_cast<ptrdiff_t>(bytes_)) + " bytes past the end of " + of;
  return "byte " + std::to_string(address - data_) + " of " + of;
}

std::string describe_device_address(const unsigned char* address) {
  Registry& r = Registry::get();
  const std::lock_guard lock(r.mutex);
  for (const DeviceMemory* m : r.all) {
    const std::string what = m->describe(address);
    if (!what.empty()) return what;
  }
  return "";
}

}  // namespace emulator
