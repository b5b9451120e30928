// Stacks and the switch between them. A prepared stack looks like one that has called the switch.
#include "fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <mutex>
#include <new>
#include <stdexcept>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

asm(R"(
.pushsection .text
.globl moproc_emulator_switch
.type moproc_emulator_switch, @function
moproc_emulator_switch:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
.size moproc_emulator_switch, .-moproc_emulator_switch
.popsection
)");

namespace emulator {

#if defined(__SANITIZE_ADDRESS__)
void switch_stacks(Stopped& from, const Stopped& to) {
  void* frames = nullptr;
  __sanitizer_start_switch_fiber(&frames, to.bottom, to.bytes);
  moproc_emulator_switch(&from.sp, to.sp);
  __sanitizer_finish_switch_fiber(frames, nullptr, nullptr);
}
void has_switched(Stopped& from) { __sanitizer_finish_switch_fiber(nullptr, &from.bottom, &from.bytes); }
void forget_frames(const void* bottom, size_t bytes) { __asan_unpoison_memory_region(bottom, bytes); }
#else
void switch_stacks(Stopped& from, const Stopped& to) { moproc_emulator_switch(&from.sp, to.sp); }
void has_switched(Stopped&) {}
void forget_frames(const void*, size_t) {}
#endif

Stacks::Stacks(unsigned count) : count_(count) {
  void* const p =
      mmap(nullptr, count * stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) throw std::bad_alloc();
  base_ = static_cast<unsigned char*>(p);
  for (unsigned i = 0; i < count; ++i)
    if (mprotect(base_ + i * stack_bytes, guard, PROT_NONE) != 0) {
      munmap(p, count * stack_bytes);
      throw std::runtime_error("emulator: no guard page for a stack (vm.max_map_count?)");
    }
}
Stacks::~Stacks() {
  forget_frames(base_, count_ * stack_bytes);
  munmap(base_, count_ * stack_bytes);
}

Stopped Stacks::prepare(unsigned i, void (*entry)()) const {
  const auto bytes = static_cast<size_t>(top(i) - bottom(i));
  forget_frames(bottom(i), bytes);
  // Tops lie at different offsets in their pages, because equal ones would compete for the same sets of the cache.
  const size_t shift = 64 + (i * 192u) % 2048u;
  void** sp = reinterpret_cast<void**>((reinterpret_cast<uintptr_t>(top(i)) - shift) & ~uintptr_t{15});
  *--sp = nullptr;  // the return address of entry
  *--sp = reinterpret_cast<void*>(entry);
  for (int r = 0; r < 6; ++r) *--sp = nullptr;
  return {sp, bottom(i), bytes};
}

std::shared_ptr<Stacks> borrow_stacks(unsigned count) {
  struct Shelf {
    std::mutex mutex;
    std::vector<std::unique_ptr<Stacks>> free;
  };
  static Shelf* const shelf = new Shelf;  // outlives every thread
  std::unique_ptr<Stacks> taken;
  {
    const std::lock_guard lock(shelf->mutex);
    if (!shelf->free.empty()) {
      taken = std::move(shelf->free.back());
      shelf->free.pop_back();
    }
  }
  if (!taken || taken->count() < count) taken = std::make_unique<Stacks>(count < 256 ? 256 : count);
  return {taken.release(), [](Stacks* s) {
            const std::lock_guard lock(shelf->mutex);
            shelf->free.emplace_back(s);
          }};
}

}  // namespace emulator
