// Spreads blocks over CPU threads, and has the functions that kernels call: each call goes to the block that runs on
// this CPU thread.
#include <algorithm>
#include <atomic>
#include <mutex>
#include <numeric>
#include <random>
#include <thread>

#include "block.h"
#include "faults.h"

namespace emulator {

namespace {

std::vector<unsigned> order_of_blocks(const Launch& l) {
  std::vector<unsigned> order(l.grid);
  std::iota(order.begin(), order.end(), 0u);
  if (l.seed == 0) return order;
  std::mt19937 rng(l.seed);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng() % i]);
  return order;
}

void check(const Launch& l) {
  const auto bad = [&](const std::string& what) { throw Error(l.name + ": " + what); };
  if (l.grid == 0 || l.grid > 0x7fffffffu) bad("a grid of " + std::to_string(l.grid) + " blocks");
  if (l.block == 0 || l.block > 1024) bad("a block of " + std::to_string(l.block) + " threads");
  if (l.shared_bytes > SharedMemory::limit)
    bad(std::to_string(l.shared_bytes) + " bytes of shared memory, at most " + std::to_string(SharedMemory::limit));
  if (running_block() != nullptr) bad("launched by a kernel");
}

}  // namespace

void launch(const Launch& l, const std::function<void()>& kernel) {
  check(l);
  const std::vector<unsigned> order = order_of_blocks(l);
  std::atomic<size_t> next = 0;
  std::atomic<bool> failed = false;
  std::mutex mutex;
  std::string error;
  const auto work = [&] {
    const FaultStack faults;
    Block block(l, kernel);
    for (size_t i; !failed && (i = next++) < order.size();) {
      if (block.run(order[i])) continue;
      const std::lock_guard lock(mutex);
      if (!failed.exchange(true)) error = block.error();
      return;
    }
  };
  const unsigned cpus = std::clamp(l.workers ? l.workers : std::thread::hardware_concurrency(), 1u, 8u);
  const auto helpers = std::min<size_t>(cpus, l.grid) - 1;
  std::vector<std::thread> threads;
  for (size_t i = 0; i < helpers; ++i) threads.emplace_back(work);
  work();
  for (std::thread& t : threads) t.join();
  if (failed) throw Error(error);
}

namespace {
Block& current() {
  Block* const b = running_block();
  if (b == nullptr) throw Error("emulator: device code called outside a launch");
  return *b;
}
}  // namespace

const Place& place() { return current().place(); }
void fail(const std::string& what) { current().fail(what); }
int sync_threads(int value) { return current().sync_threads(value); }
void named_barrier(int id, unsigned threads, bool wait) { current().named_barrier(id, threads, wait); }
unsigned char* dynamic_shared() { return current().shared().dynamic(); }
size_t dynamic_shared_bytes() { return current().shared().dynamic_bytes(); }
void* static_shared(const void* key, size_t bytes, size_t alignment) {
  void* const p = current().shared().array(key, bytes, alignment);
  if (p == nullptr) fail("too much shared memory: one more static array of " + std::to_string(bytes) + " bytes");
  return p;
}
void wait_until(const char* what, bool (*ready)(const void*), const void* state, std::string (*describe)(const void*)) {
  current().wait_until(what, ready, state, describe);
}
void at_thread_end(void (*check)()) { current().at_thread_end(check); }
void collective(const char* what, unsigned mask, const void* in, void* out, CollectiveBody all, const void* context) {
  current().collective(what, mask, in, out, all, context);
}
std::shared_ptr<void>& thread_state(const void* key) { return current().thread_state(key); }
std::shared_ptr<void>& block_state(const void* key) { return current().block_state(key); }

}  // namespace emulator
