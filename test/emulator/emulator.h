// Runs CUDA kernels on the CPU: one fiber per CUDA thread, blocks spread over CPU threads. This is the interface for
// kernels (through emulator_cuda.h) and tests; block.cc has the scheduler. A fiber runs until it waits, so the
// scheduler determines the order of threads between two barriers: fixed, or by seed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

namespace emulator {

/// A kernel did something that CUDA leaves undefined, or that would hang; what() names kernel, block and thread.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Launch {
  std::string name = "kernel";
  unsigned grid = 1;        // blocks, 1-D
  unsigned block = 1;       // threads, at most 1024
  size_t shared_bytes = 0;  // dynamic shared memory
  uint32_t seed = 0;        // 0: blocks and threads in order; otherwise in an order that follows from the seed
  unsigned workers = 0;     // CPU threads; 0: as many as the machine has
};

/// Runs kernel() once in every thread of every block. Throws Error.
void launch(const Launch& l, const std::function<void()>& kernel);

struct Index {
  unsigned x, y, z;
};

// Kernels call the following functions, in a CUDA thread.

struct Place {
  Index thread, block, block_dim, grid_dim;
};
/// The indices and extents of the running thread and its block.
const Place& place();
inline int lane() { return static_cast<int>(place().thread.x & 31); }

/// Stops the launch with an Error that begins with kernel, block and thread.
[[noreturn]] void fail(const std::string& what);

/// __syncthreads: waits for all threads that have not ended. Returns the sum of `value` over them.
int sync_threads(int value = 0);

/// bar.sync / bar.arrive: barrier `id` in 1..15, `threads` a multiple of 32.
void named_barrier(int id, unsigned threads, bool wait);

/// Memory of the block, filled with 0xff (NaN in every float type) when it starts.
unsigned char* dynamic_shared();
size_t dynamic_shared_bytes();
/// The array of `key`; the first thread that asks for it creates it.
void* static_shared(const void* key, size_t bytes, size_t alignment);

/// Waits, while other threads run, until ready(state) is true. `describe`: what it waits for, in a deadlock.
void wait_until(const char* what, bool (*ready)(const void*), const void* state,
                std::string (*describe)(const void*) = nullptr);
/// Calls `check` when the running CUDA thread ends; one check per thread.
void at_thread_end(void (*check)());

/// `in` and `out` have the pointers of every lane, null for a lane that takes no part. The last lane to arrive runs it,
/// once.
using CollectiveBody = void (*)(const void* context, unsigned lanes, const void* const* in, void* const* out);
/// An operation of all lanes of `mask` that have not ended; all of them must call it with the same mask and `what`.
void collective(const char* what, unsigned mask, const void* in, void* out, CollectiveBody all, const void* context);

/// collective() for values: all(lanes, in, out) gets the In* and Out* of every lane.
template <class Out, class In, class F>
Out warp_collective(const char* what, unsigned mask, const In& in, const F& all) {
  Out result;
  collective(
      what, mask, &in, &result,
      [](const void* f, unsigned lanes, const void* const* ins, void* const* outs) {
        const In* in[32];
        Out* out[32];
        for (int l = 0; l < 32; ++l) in[l] = static_cast<const In*>(ins[l]), out[l] = static_cast<Out*>(outs[l]);
        (*static_cast<const F*>(f))(lanes, in, out);
      },
      &all);
  return result;
}

/// Host state of the running CUDA thread, or of its block. make() creates it at the first request in a block, and it is
/// destroyed when the block ends.
std::shared_ptr<void>& thread_state(const void* key);
std::shared_ptr<void>& block_state(const void* key);
template <class T>
inline const char state_key = 0;
template <class T>
T& per_thread() {
  std::shared_ptr<void>& s = thread_state(&state_key<T>);
  if (!s) s = std::make_shared<T>();
  return *static_cast<T*>(s.get());
}
template <class T>
T& per_block() {
  std::shared_ptr<void>& s = block_state(&state_key<T>);
  if (!s) s = std::make_shared<T>();
  return *static_cast<T*>(s.get());
}

}  // namespace emulator
