// Stacks to run on and the switch between them. x86-64 only, like the CPU kernels: 8 instructions instead of the
// system calls of swapcontext.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#if !defined(__x86_64__)
#error "the CUDA emulator switches stacks in x86-64 assembly"
#endif

/// Stores the running stack's pointer in *from and goes on where the stack `to` stopped.
extern "C" void moproc_emulator_switch(void** from, void* to);

namespace emulator {

/// Where a stack stopped, and what AddressSanitizer wants to know of it.
struct Stopped {
  void* sp = nullptr;
  const void* bottom = nullptr;
  size_t bytes = 0;
};

/// moproc_emulator_switch, announced to AddressSanitizer where the program is built with it.
void switch_stacks(Stopped& from, const Stopped& to);
/// The first thing on a stack that was prepared: notes whose bounds those of `from` are.
void has_switched(Stopped& from);
/// The frames on a stack are given up without returning.
void forget_frames(const void* bottom, size_t bytes);

/// Stacks of `stack_bytes`, each above a page that faults. Mapped once, touched as far as they are used.
class Stacks {
 public:
  static constexpr size_t stack_bytes = 128 << 10;
  explicit Stacks(unsigned count);
  ~Stacks();
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;
  unsigned count() const { return count_; }
  /// Lowest usable byte and one past the highest.
  unsigned char* bottom(unsigned i) const { return base_ + i * stack_bytes + guard; }
  unsigned char* top(unsigned i) const { return base_ + (i + 1) * stack_bytes; }
  /// From where a switch calls entry() at the top of stack i; entry must not return.
  Stopped prepare(unsigned i, void (*entry)()) const;

 private:
  static constexpr size_t guard = 4096;
  unsigned char* base_;
  unsigned count_;
};

/// At least `count` stacks, used again from launch to launch.
std::shared_ptr<Stacks> borrow_stacks(unsigned count);

}  // namespace emulator
