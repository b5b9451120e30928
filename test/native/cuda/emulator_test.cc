// The emulator itself: what it must compute, which faults it must find, and that it tries every order of threads.
#include <set>

#include "cuda/vec.cuh"
#include "device_memory.h"
#include "native/tap.h"

namespace {
using namespace moproc;
using emulator::DeviceMemory;
using emulator::Launch;

void run(const Launch& l, const std::function<void()>& kernel) { emulator::launch(l, kernel); }
/// Checks that the kernel fails with a message that holds all parts, in every order.
void fails(Launch l, const std::function<void()>& kernel, std::initializer_list<const char*> parts) {
  for (uint32_t seed = 0; seed < 6; ++seed) {
    l.seed = seed;
    for (const char* part : parts) CHECK_THROWS(run(l, kernel), part);
  }
}

TEST("a block sums its threads' numbers with shuffles, shared memory and a barrier") {
  for (uint32_t seed = 0; seed < 4; ++seed) {
    DeviceMemory memory(100 * sizeof(float));
    float* const sums = reinterpret_cast<float*>(memory.data());
    Launch l{"sum", 100, 200, 8 * sizeof(float), seed};
    run(l, [&] {
      float v = static_cast<float>(threadIdx.x);
      for (int step = 16; step > 0; step /= 2) {  // the last warp is 8 lanes
        const float other = __shfl_xor_sync(0xffffffffu, v, step);
        v += other == other ? other : 0.0f;
      }
      float* const parts = reinterpret_cast<float*>(shared_memory);
      if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = v;
      __syncthreads();
      if (threadIdx.x != 0) return;
      float sum = static_cast<float>(blockIdx.x);
      for (unsigned i = 0; i < (blockDim.x + 31) / 32; ++i) sum += parts[i];
      sums[blockIdx.x] = sum;
    });
    for (int i = 0; i < 100; ++i) CHECK_EQ(sums[i], 200.0f * 199 / 2 + static_cast<float>(i));
    CHECK(memory.intact());
  }
}

TEST("shuffles and votes") {
  for (uint32_t seed = 0; seed < 3; ++seed)
    run({"lanes", 1, 64, 0, seed}, [] {
      const int l = emulator::lane();
      const auto check = [](bool ok, const char* what) {
        if (!ok) emulator::fail(what);
      };
      check(__shfl_sync(~0u, l, 5) == 5, "shfl");
      check(__shfl_sync(~0u, l, 5, 8) == l / 8 * 8 + 5, "shfl of 8");
      check(__shfl_down_sync(~0u, l, 3) == (l < 29 ? l + 3 : l), "down");
      check(__shfl_down_sync(~0u, l, 3, 16) == (l % 16 < 13 ? l + 3 : l), "down of 16");
      check(__shfl_up_sync(~0u, 2.5 * l, 1) == 2.5 * (l > 0 ? l - 1 : l), "up of a double");
      check(__ballot_sync(~0u, l % 3 == 0) == 0x49249249u, "ballot");
      check(__any_sync(~0u, l == 31) && !__all_sync(~0u, l == 31) && __all_sync(~0u, 1), "any, all");
      if (l < 8) check(__ballot_sync(0xffu, 1) == 0xffu, "eight lanes");
      else check(__shfl_sync(~0xffu, l, 9) == 9, "the others");
      check(__syncthreads_count(threadIdx.x < 40) == 40, "count");
      check(__syncthreads_and(1) && !__syncthreads_or(0), "and, or");
    });
}

TEST("threads that have ended are not waited for") {
  for (uint32_t seed = 0; seed < 6; ++seed)
    run({"ended", 2, 96, 0, seed}, [] {
      if (threadIdx.x % 3 == 0) return;
      __syncthreads();
      if (__popc(__ballot_sync(~0u, 1)) > 22) emulator::fail("a lane that has ended voted");
      if (threadIdx.x % 3 == 1) return;
      __syncwarp();
      __syncthreads();
    });
}

TEST("named barriers") {
  for (uint32_t seed = 0; seed < 6; ++seed) {
    int made = 0, taken = 0;
    run({"pipe", 1, 96, 0, seed}, [&] {  // two warps make, one takes
      for (int i = 0; i < 5; ++i) {
        if (threadIdx.x < 64) {
          ++made;
          emulator::named_barrier(1, 96, false);
          emulator::named_barrier(2, 96, true);
        } else {
          emulator::named_barrier(1, 96, true);
          if (made != 64 * (i + 1)) emulator::fail("taken too early");
          ++taken;
          emulator::named_barrier(2, 96, true);
        }
      }
    });
    CHECK_EQ(taken, 160);
  }
}

TEST("waiting for a condition") {
  for (uint32_t seed = 0; seed < 6; ++seed) {
    int turn = 0;
    run({"turns", 1, 64, 0, seed}, [&] {
      struct Turn {
        const int* now;
        int mine;
      } const wait{&turn, static_cast<int>(threadIdx.x)};
      emulator::wait_until(
          "its turn",
          [](const void* w) { return *static_cast<const Turn*>(w)->now == static_cast<const Turn*>(w)->mine; }, &wait);
      ++turn;
    });
    CHECK_EQ(turn, 64);
  }
}

TEST("a deadlock is reported with who waits for what") {
  fails({"stuck", 3, 96},
        [] {
          if (threadIdx.x < 64) __syncthreads();
          else emulator::named_barrier(2, 64, true);
        },
        {"stuck, block ", "deadlock", "threads 0-63 wait at __syncthreads (64 of 96 came)",
         "threads 64-95 wait at barrier 2 (32 of 64 came)"});
  fails({"stuck", 1, 32},
        [] {
          if (threadIdx.x != 3) __syncwarp();
          else __syncthreads();
        },
        {"threads 0-2, 4-31 wait in __syncwarp", "threads 3 wait at __syncthreads"});
  fails({"stuck", 1, 32}, [] { emulator::wait_until("mbarrier", [](const void*) { return false; }, nullptr); },
        {"threads 0-31 wait in mbarrier"});
}

TEST("lanes of one mask that do different things are found") {
  fails({"split", 1, 32},
        [] {
          if (threadIdx.x < 16) __syncwarp();
          else __ballot_sync(~0u, 1);
        },
        {"lanes of one mask do different things", "__syncwarp", "__ballot_sync"});
  fails({"split", 1, 32}, [] { __shfl_sync(1u << ((threadIdx.x + 1) % 32), 1, 0); },
        {"does not name the calling lane"});
}

TEST("accesses outside of device memory are found") {
  for (const bool low : {false, true}) {
    DeviceMemory x(4000, "x", low);
    volatile float* const p = reinterpret_cast<float*>(x.data());
    const int far = low ? 4096 / 4 : 1008;  // the first element beyond the page
    fails({"read", 2, 32}, [&] { (void)p[static_cast<int>(threadIdx.x) + far]; },
          {"read, block ", "reads at ", " bytes past the end of x (4000 bytes)"});
    fails({"write", 2, 32}, [&] { p[-1100 - static_cast<int>(threadIdx.x)] = 1.0f; },
          {"writes at ", " bytes before x (4000 bytes)"});
    CHECK(x.intact());
    run({"beside", 1, 1}, [&] { p[1000] = 1.0f; });  // less than a page away
    CHECK(!x.intact());
  }
  DeviceMemory x(256);
  fails({"odd", 1, 1}, [&] { store(reinterpret_cast<float*>(x.data()) + 1, Vec(1.0f)); },
        {"odd, block 0, thread 0: ", "not a multiple"});
  fails({"odd", 1, 1}, [&] { asm volatile("movaps %%xmm0, (%0)" ::"r"(x.data() + 1)
                                          : "memory"); },
        {"odd, block 0, thread 0: ", "not a multiple of its size"});
  fails({"null", 1, 1}, [] { *static_cast<volatile int*>(nullptr) = 1; },
        {"null, block 0, thread 0: writes at ", "no memory"});
}

TEST("memory is not a number until it is written") {
  DeviceMemory x(64);
  CHECK(std::isnan(reinterpret_cast<float*>(x.data())[3]));
  run({"fresh", 20, 64, 1024, 1}, [] {
    float* const own = shared_array<float, 64>();
    for (const float* p : {reinterpret_cast<float*>(shared_memory), own})
      if (p[threadIdx.x] == p[threadIdx.x]) emulator::fail("left over from another block");
    __syncthreads();
    own[threadIdx.x] = reinterpret_cast<float*>(shared_memory)[threadIdx.x] = 1.0f;
  });
}

TEST("writes beside shared memory are found") {
  fails({"dynamic", 1, 32, 1000}, [] { shared_memory[1000] = 1; }, {"past the 1000 bytes of dynamic shared memory"});
  fails({"dynamic", 1, 32, 1000}, [] { shared_memory[1030] = 1; },
        {"30 bytes past the end of the 1000 bytes of dynamic"});
  fails({"static", 1, 32}, [] { shared_array<int, 8>()[8] = 1; }, {"beside a static shared array of 32 bytes"});
  fails({"large", 1, 32}, [] { shared_array<int, 12289>(); }, {"too much shared memory"});
  fails({"large", 1, 32, 232449}, [] {}, {"232449 bytes of shared memory, at most 232448"});
}

TEST("two arrays of a block, and each by its tag") {
  run({"tags", 2, 64, 0, 1}, [] {
    int *const a = shared_array<int, 64>(), *const b = shared_array<int, 64, 1>();
    a[threadIdx.x] = static_cast<int>(threadIdx.x);
    b[threadIdx.x] = -static_cast<int>(threadIdx.x);
    __syncthreads();
    const unsigned other = 63 - threadIdx.x;
    if (a[other] != static_cast<int>(other) || b[other] != -static_cast<int>(other)) emulator::fail("mixed up");
  });
}

namespace {

/// Frames smaller than the page that faults, so that none of them steps over it.
[[gnu::noinline]] int deep(int calls) {
  volatile char frame[1000];
  frame[0] = static_cast<char>(calls);
  return calls == 0 ? 0 : deep(calls - 1) + frame[0];
}

}  // namespace

TEST("a deep stack is an error of the thread") {
  fails({"deep", 1, 32}, [] { deep(400); }, {"stack overflow"});
}

TEST("a seed is an order: fixed, different from others, the same on any number of CPU threads") {
  const auto order = [](uint32_t seed, unsigned workers) {
    DeviceMemory memory(4 * 64 * sizeof(int));
    int* const at = reinterpret_cast<int*>(memory.data());
    run({"order", 4, 64, 0, seed, workers}, [&] {
      int& next = emulator::per_block<int>();
      at[blockIdx.x * 64 + threadIdx.x] = next++;
    });
    return std::vector<int>(at, at + 256);
  };
  std::set<std::vector<int>> all;
  for (uint32_t seed = 0; seed < 8; ++seed) {
    const std::vector<int> one = order(seed, 1);
    all.insert(one);
    CHECK(one == order(seed, 3));
  }
  CHECK_EQ(all.size(), size_t{8});
  for (int i = 0; i < 64; ++i) CHECK_EQ(order(0, 1)[size_t(i)], i);
}

TEST("a race between threads gives different results in different orders") {
  std::set<int> last;
  for (uint32_t seed = 0; seed < 8; ++seed) {
    int winner = -1;
    run({"race", 1, 64, 0, seed}, [&] { winner = static_cast<int>(threadIdx.x); });
    last.insert(winner);
  }
  CHECK(last.size() > 3);
}

TEST("integer atomics") {
  DeviceMemory memory(64);
  int* const x = reinterpret_cast<int*>(memory.data());
  x[0] = x[1] = 0;
  run({"atomics", 50, 64, 0, 3}, [&] {
    atomicAdd(&x[0], 1);
    atomicMax(&x[1], static_cast<int>(blockIdx.x * 64 + threadIdx.x));
  });
  CHECK_EQ(x[0], 3200);
  CHECK_EQ(x[1], 3199);
}

TEST("bf16 rounds to nearest even") {
  CHECK_EQ(narrow(1.0f), 0x3f80);
  CHECK_EQ(narrow(0x1.01p0f), 0x3f80);  // half way, even below
  CHECK_EQ(narrow(0x1.03p0f), 0x3f82);  // half way, even above
  CHECK_EQ(narrow(0x1.010002p0f), 0x3f81);
  CHECK_EQ(narrow(-0x1.fffffep127f), 0xff80);  // to infinity
  CHECK_EQ(narrow(0x1p-149f), 0);
  CHECK_EQ(narrow(-NAN), 0x7fff);
}

}  // namespace

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
