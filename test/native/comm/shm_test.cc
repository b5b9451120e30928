// Shared memory between processes: collectives of all sizes against their definition, the order of additions, and ranks
// that die, stop or give up.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <csignal>
#include <cstring>
#include <functional>
#include <numeric>
#include <thread>

#include "comm/shm.h"
#include "core/error.h"
#include "tap.h"

using namespace moproc;
using namespace moproc::comm;

namespace {

/// Runs `body` as `ranks` processes; rank 0 is this one. True when all others returned true and ended well.
bool together(int ranks, const std::function<bool(Communicator&)>& body, double timeout = 20) {
  std::string name;
  const auto first = make_shm({0, ranks, timeout}, name);
  std::vector<pid_t> children;
  for (int r = 1; r < ranks; ++r) {
    const pid_t pid = fork();
    if (pid == 0) {
      bool ok = false;
      try {
        std::string own = name;
        ok = body(*make_shm({r, ranks, timeout}, own));
      } catch (const std::exception& e) {
        std::fprintf(stderr, "rank %d: %s\n", r, e.what());
      }
      _exit(ok ? 0 : 1);
    }
    children.push_back(pid);
  }
  bool ok = body(*first);
  for (const pid_t pid : children) {
    int status = 0;
    waitpid(pid, &status, 0);
    ok &= WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  unlink_shm(name);
  return ok;
}

float value(int rank, int64_t i) {
  return static_cast<float>(std::sin(0.37 * static_cast<double>(i) + rank)) * (i % 7 == 0 ? 1e6f : 1e-3f);
}

}  // namespace

TEST("tree_sum: the left half is the largest power of two") {
  const int64_t n = 2500;
  for (const int ranks : {1, 2, 3, 5, 6, 8}) {
    std::vector<std::vector<float>> x(static_cast<size_t>(ranks));
    std::vector<const float*> at;
    for (int r = 0; r < ranks; ++r) {
      for (int64_t i = 0; i < n; ++i) x[static_cast<size_t>(r)].push_back(value(r, i));
      at.push_back(x[static_cast<size_t>(r)].data());
    }
    const std::function<float(int, int, int64_t)> tree = [&](int begin, int count, int64_t i) -> float {
      if (count == 1) return value(begin, i);
      int half = 1;
      while (2 * half < count) half *= 2;
      const volatile float left = tree(begin, half, i), right = tree(begin + half, count - half, i);
      return left + right;
    };
    std::vector<float> sum(static_cast<size_t>(n));
    tree_sum(at, sum.data(), n);
    int64_t wrong = 0;
    for (int64_t i = 0; i < n; ++i) wrong += sum[static_cast<size_t>(i)] != tree(0, ranks, i);
    CHECK_EQ(wrong, 0);
  }
}

TEST("collectives of 1 to 4 processes and sizes around a piece, in place and not") {
  for (const int ranks : {1, 2, 3, 4}) {
    const bool ok = together(ranks, [&](Communicator& c) {
      for (const int64_t n : {int64_t{0}, int64_t{1}, int64_t{3}, int64_t{1000}, int64_t{262143}, int64_t{262144},
                              int64_t{262145}, int64_t{900001}}) {
        std::vector<float> own(static_cast<size_t>(n)), sum(static_cast<size_t>(n)), want(static_cast<size_t>(n));
        std::vector<std::vector<float>> all(static_cast<size_t>(ranks));
        std::vector<const float*> at;
        for (int r = 0; r < ranks; ++r) {
          for (int64_t i = 0; i < n; ++i) all[static_cast<size_t>(r)].push_back(value(r, i));
          at.push_back(all[static_cast<size_t>(r)].data());
        }
        own = all[static_cast<size_t>(c.rank())];
        tree_sum(at, want.data(), n);
        c.all_reduce("x", own.data(), sum.data(), n);
        if (sum != want || own != all[static_cast<size_t>(c.rank())]) return false;
        c.all_reduce("x", own.data(), own.data(), n);
        if (own != want) return false;
        std::vector<float> gathered(static_cast<size_t>(n * ranks));
        c.all_gather("x", reinterpret_cast<const std::byte*>(all[static_cast<size_t>(c.rank())].data()),
                     reinterpret_cast<std::byte*>(gathered.data()), 4 * n);
        for (int r = 0; r < ranks; ++r)
          if (n > 0 &&
              std::memcmp(gathered.data() + r * n, all[static_cast<size_t>(r)].data(), static_cast<size_t>(4 * n)) != 0)
            return false;
        std::vector<float> cast = all[static_cast<size_t>(c.rank())];
        c.broadcast("x", reinterpret_cast<std::byte*>(cast.data()), 4 * n, ranks - 1);
        if (cast != all[static_cast<size_t>(ranks - 1)]) return false;
      }
      return true;
    });
    CHECK(ok);
  }
}

TEST("a thousand small collectives, ranks that are slow by turns") {
  CHECK(together(3, [](Communicator& c) {
    for (int i = 0; i < 1000; ++i) {
      if (i % 300 == 100 * c.rank()) std::this_thread::sleep_for(std::chrono::milliseconds(60));
      float x = static_cast<float>(c.rank() + i);
      c.all_reduce("x", &x, &x, 1);
      if (x != static_cast<float>(3 * i + 3)) return false;
    }
    return true;
  }));
}

namespace {

/// What rank 0 of two hears when rank 1 does `harm` before the second collective, and after how many seconds.
std::string heard(const std::function<void(Communicator&)>& harm, double timeout, double& seconds) {
  std::string name, why;
  const auto first = make_shm({0, 2, timeout}, name);
  const pid_t pid = fork();
  if (pid == 0) {
    std::string own = name;
    const auto c = make_shm({1, 2, timeout}, own);
    float x = 1;
    c->at_step(41);
    c->all_reduce("the first", &x, &x, 1);
    harm(*c);
    _exit(0);
  }
  float x = 1;
  first->at_step(42);
  first->all_reduce("the first", &x, &x, 1);
  const auto start = std::chrono::steady_clock::now();
  try {
    first->all_reduce("the second", &x, &x, 1);
  } catch (const LostRank& e) {
    why = e.what();
  }
  seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  kill(pid, SIGKILL);
  waitpid(pid, nullptr, 0);
  unlink_shm(name);
  return why;
}

#define CHECK_HAS(text, part) CHECK(std::string(text).find(part) != std::string::npos)

}  // namespace

TEST("a rank that dies is missed at once, one that hangs after the time-out, one that gives up says why") {
  double seconds = 0;
  std::string why = heard([](Communicator&) { raise(SIGKILL); }, 20, seconds);
  CHECK_HAS(why, "rank 1 (process ");
  CHECK_HAS(why, "has died in step 41, all_reduce of the first; this rank waits in step 42, all_reduce of the second");
  CHECK(seconds < 5);
  why = heard([](Communicator&) { raise(SIGSTOP); }, 0.5, seconds);
  CHECK_HAS(why, "has been missing for 0.5 s (--timeout): it was last seen in step 41");
  CHECK(seconds >= 0.5 && seconds < 5);
  why = heard(
      [](Communicator& c) {
        c.give_up("the disk is on fire");
        pause();
      },
      20, seconds);
  CHECK_HAS(why, "gave up: the disk is on fire");
  CHECK(seconds < 5);
}

TEST("a rank that never comes; memory of no run") {
  std::string name, why;
  const auto alone = make_shm({0, 2, 0.3}, name);
  float x = 0;
  try {
    alone->all_reduce("x", &x, &x, 1);
  } catch (const LostRank& e) {
    why = e.what();
  }
  CHECK_HAS(why, "rank 1 has not connected within 0.3 s");
  unlink_shm(name);
  why.clear();
  try {
    make_shm({1, 2, 1}, name);
  } catch (const InputError& e) {
    why = e.what();
  }
  CHECK_HAS(why, "all ranks have to be on one machine");
}
