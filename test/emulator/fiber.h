// Stacks of fibers, and the switch between them. Only for x86-64, like the CPU kernels: 8 instructions instead of the
// system calls of swapcontext.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#if !defined(__x86_64__)
#error "the CUDA emulator switches stacks in x86-64 assembly"
#endif

/// Stores the running stack's pointer in *from and continues where the stack `to` stopped.
extern "C" void moproc_emulator_switch(void** from, void* to);

namespace emulator {

/// Where a stack stopped, and the bounds that AddressSanitizer needs.
struct Stopped {
  void* sp = nullptr;
  const void* bottom = nullptr;
  size_t bytes = 0;
};

/// moproc_emulator_switch, announced to AddressSanitizer if the program is built with it.
void switch_stacks(Stopped& from, const Stopped& to);
/// Must be the first call on a prepared stack: stores the bounds of the previous stack in `from`.
void has_switched(Stopped& from);
/// Tells AddressSanitizer that the frames on a stack are abandoned without returning.
void forget_frames(const void* bottom, size_t bytes);

/// Stacks of `stack_bytes` bytes, each above a page that faults. Pages take memory only when they are used.
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
  /// A stopped state of stack i from which a switch calls entry() at its top; entry must not return.
  Stopped prepare(unsigned i, void (*entry)()) const;

 private:
  static constexpr size_t guard = 4096;
  unsigned char* base_;
  unsigned count_;
};

/// At least `count` stacks, which are reused from launch to launch.
std::shared_ptr<Stacks> borrow_stacks(unsigned count);

}  // namespace emulator
