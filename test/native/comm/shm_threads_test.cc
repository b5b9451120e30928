// Shared memory between threads that act as ranks: the same protocol, but a race detector sees both sides of it. (It
// does not see the other processes of shm_test.cc.)
#include <atomic>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "comm/shm.h"
#include "tap.h"

using namespace moproc::comm;

namespace {

/// Runs `body` as `ranks` threads; what each threw, "" for nothing.
std::vector<std::string> together(int ranks, double timeout, const std::function<void(Communicator&)>& body) {
  std::vector<std::byte> memory(shm_bytes(ranks) + kShmAlignment);
  void* at = memory.data();
  size_t room = memory.size();
  REQUIRE(std::align(kShmAlignment, shm_bytes(ranks), at, room) != nullptr);
  std::vector<std::string> why(static_cast<size_t>(ranks));
  std::vector<std::thread> threads;
  for (int r = 0; r < ranks; ++r)
    threads.emplace_back([&, r] {
      try {
        body(*make_shm_in(at, {r, ranks, timeout}));
      } catch (const std::exception& e) {
        why[static_cast<size_t>(r)] = e.what();
      }
    });
  for (std::thread& t : threads) t.join();
  return why;
}

#define CHECK_HAS(text, part) CHECK(std::string(text).find(part) != std::string::npos)

}  // namespace

TEST("threads as ranks: all collectives by turns, of one piece and of several") {
  for (const int ranks : {2, 3}) {
    std::atomic<int> wrong{0};
    const auto why = together(ranks, 60, [&](Communicator& c) {
      for (const int64_t n : {int64_t{1}, int64_t{1000}, int64_t{600000}})
        for (int round = 0; round < (n > 1000 ? 2 : 50); ++round) {
          std::vector<float> x(static_cast<size_t>(n), static_cast<float>(c.rank() + round)),
              all(static_cast<size_t>(n * ranks));
          c.at_step(round);
          c.all_gather("x", reinterpret_cast<const std::byte*>(x.data()), reinterpret_cast<std::byte*>(all.data()),
                       4 * n);
          for (int r = 0; r < ranks; ++r)
            wrong += all[static_cast<size_t>(r * n + n / 2)] != static_cast<float>(r + round);
          c.all_reduce("x", x.data(), x.data(), n);
          wrong += x[static_cast<size_t>(n - 1)] != static_cast<float>(ranks * round + ranks * (ranks - 1) / 2);
          x.assign(x.size(), static_cast<float>(c.rank()));
          c.broadcast("x", reinterpret_cast<std::byte*>(x.data()), 4 * n, round % ranks);
          wrong += x[0] != static_cast<float>(round % ranks);
        }
    });
    for (const std::string& w : why) CHECK_EQ(w, "");
    CHECK_EQ(wrong.load(), 0);
  }
}

TEST("threads as ranks: one gives up, the others hear why") {
  const auto why = together(3, 60, [](Communicator& c) {
    float x = 1;
    c.all_reduce("the first", &x, &x, 1);
    if (c.rank() == 1) return c.give_up("the disk is on fire");
    c.all_reduce("the second", &x, &x, 1);
  });
  for (const int r : {0, 2}) CHECK_HAS(why[static_cast<size_t>(r)], "gave up: the disk is on fire");
}

TEST("threads as ranks: one that comes after the time-out of another") {
  std::atomic<bool> given_up{
      false};  // relaxed, so that it orders nothing: the ranks know of each other through the memory alone
  const auto why = together(2, 1, [&](Communicator& c) {
    float x = 1;
    c.at_step(7);
    try {
      c.all_reduce("the first", &x, &x, 1);
      if (c.rank() == 1)
        while (!given_up.load(std::memory_order_relaxed)) std::this_thread::yield();
      c.all_reduce("the second", &x, &x, 1);
    } catch (const LostRank&) {
      given_up.store(true, std::memory_order_relaxed);
      throw;
    }
  });
  CHECK_HAS(why[0], "has been missing for 1 s (--timeout): it was last seen in step 7, all_reduce of the first");
}
