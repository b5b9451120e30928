// Stacks and the switch. A stack that is prepared looks like one that has called the switch.
#include "fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <mutex>
#include <new>
#include <stdexcept>

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

Stacks::Stacks(unsigned count) : count_(count) {
  void* const p = mmap(nullptr, count * stack_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) throw std::bad_alloc();
  base_ = static_cast<unsigned char*>(p);
  for (unsigned i = 0; i < count; ++i)
    if (mprotect(base_ + i * stack_bytes, guard, PROT_NONE) != 0) {
      munmap(p, count * stack_bytes);
      throw std::runtime_error("emulator: no guard page for a stack (vm.max_map_count?)");
    }
}
Stacks::~Stacks() { munmap(base_, count_ * stack_bytes); }

void* Stacks::prepare(unsigned i, void (*entry)()) const {
  // Tops at different offsets in their pages: equal ones would compete for the same sets of the cache.
  const size_t shift = 64 + (i * 192u) % 2048u;
  void** sp = reinterpret_cast<void**>((reinterpret_cast<uintptr_t>(top(i)) - shift) & ~uintptr_t{15});
  *--sp = nullptr;  // where entry would return to
  *--sp = reinterpret_cast<void*>(entry);
  for (int r = 0; r < 6; ++r) *--sp = nullptr;
  return sp;
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
