// One block on one CPU thread: its fibers, barriers, warps and shared memory. Reused from block to block.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "emulator.h"
#include "fiber.h"
#include "shared_memory.h"

namespace emulator {

/// The event that a fiber waits for.
enum class Wait { nothing, block_barrier, named_barrier, warp, condition };

struct Fiber {
  Stopped stack;
  Place place;
  bool ended = false;
  Wait wait = Wait::nothing;
  int barrier = 0;           // named_barrier: its id
  const char* what = "";     // warp, condition: the operation
  unsigned mask = 0;         // warp
  const void* in = nullptr;  // warp
  void* out = nullptr;       // warp
  CollectiveBody all = nullptr;
  const void* context = nullptr;  // warp; condition: its state
  bool (*condition)(const void*) = nullptr;
  std::string (*describe)(const void*) = nullptr;  // condition; may be null
  void (*at_end)() = nullptr;
  std::vector<std::pair<const void*, std::shared_ptr<void>>> states;
};

class Block {
 public:
  Block(const Launch& l, const std::function<void()>& kernel);
  /// Runs block `index`. Returns false if it failed: error() has the reason, and the block must not be used again.
  bool run(unsigned index);
  const std::string& error() const { return error_; }

  // For the running fiber.
  const Place& place() const { return current_->place; }
  int sync_threads(int value);
  void named_barrier(int id, unsigned threads, bool wait);
  void collective(const char* what, unsigned mask, const void* in, void* out, CollectiveBody all, const void* context);
  void wait_until(const char* what, bool (*ready)(const void*), const void* state,
                  std::string (*describe)(const void*));
  void at_thread_end(void (*check)()) { current_->at_end = check; }
  [[noreturn]] void fail(const std::string& what);
  SharedMemory& shared() { return shared_; }
  std::shared_ptr<void>& thread_state(const void* key) { return find_state(current_->states, key); }
  std::shared_ptr<void>& block_state(const void* key) { return find_state(states_, key); }

  /// For the fault handler: whether the address is in the guard page below the running fiber's stack.
  bool is_stack_guard(const void* address) const;
  const Stopped& running_stack() const { return current_->stack; }
  const std::string& kernel_name() const { return launch_.name; }

 private:
  struct Barrier {
    unsigned arrived = 0, expected = 0;
    int sum = 0, result = 0;
  };
  struct Warp {
    unsigned live = 0, waiting = 0;
  };
  using States = std::vector<std::pair<const void*, std::shared_ptr<void>>>;
  static std::shared_ptr<void>& find_state(States& states, const void* key);

  static void enter();  // bottom of every fiber
  void start(unsigned index);
  void end_of_fiber();
  void park(Wait wait);
  void release(Wait wait, int barrier);
  void complete(Warp& w, unsigned first_thread, const Fiber& by);
  Fiber* choose();
  bool wake_conditions();
  void go(Fiber* next);
  void yield_among_ready();
  [[noreturn]] void abandon(const std::string& error);
  std::string who(const Fiber& f) const;
  std::string waiting_list() const;
  uint32_t random(uint32_t below);

  const Launch& launch_;
  const std::function<void()>& kernel_;
  std::shared_ptr<Stacks> stacks_;
  SharedMemory shared_;
  std::vector<Fiber> fibers_;
  std::vector<Warp> warps_;
  std::vector<Fiber*> ready_;  // the last one runs next, or a random one if the order is random
  Barrier block_barrier_, named_[16];
  States states_;
  Fiber* current_ = nullptr;
  Stopped main_;  // stack of run()
  unsigned live_ = 0, conditions_ = 0;
  uint64_t rng_ = 0;
  std::string error_;
};

/// The block whose fiber runs on this CPU thread; null outside.
Block*& running_block();

}  // namespace emulator
