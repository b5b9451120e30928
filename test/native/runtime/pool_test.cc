// The pool: every task runs once, whatever the sizes; errors; and the cores that it asks for.
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "cpu/cores.h"
#include "cpu/numa.h"
#include "cpu/pool.h"
#include "tap.h"

using namespace moproc;

TEST("pool: every task runs exactly once, for many sizes and thread counts") {
  for (const int threads : {1, 2, 3, 8}) {
    Pool pool(threads);
    CHECK_EQ(pool.threads(), threads);
    for (const int64_t tasks : {0, 1, 2, 3, 7, 64, 1000}) {
      std::vector<std::atomic<int>> times(static_cast<size_t>(tasks));
      std::atomic<bool> bad_thread{false};
      pool.run(tasks, [&](int64_t begin, int64_t end, int thread) {
        if (thread < 0 || thread >= threads || begin >= end) bad_thread = true;
        for (int64_t i = begin; i < end; ++i) ++times[static_cast<size_t>(i)];
      });
      CHECK(!bad_thread);
      for (const auto& t : times) CHECK_EQ(t.load(), 1);
    }
  }
}

TEST("pool: many short jobs in a row see each other's results") {
  Pool pool(4);
  std::vector<int64_t> v(257, 0);
  for (int round = 0; round < 20000; ++round)
    pool.run(static_cast<int64_t>(2 + round % 200), [&](int64_t begin, int64_t end, int) {
      for (int64_t i = begin; i < end; ++i) v[static_cast<size_t>(i)] += 1;
    });
  int64_t sum = 0, expected = 0;
  for (const int64_t x : v) sum += x;
  for (int round = 0; round < 20000; ++round) expected += 2 + round % 200;
  CHECK_EQ(sum, expected);
}

TEST("pool: workers that went to sleep come back") {
  Pool pool(3);
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    std::atomic<int> done{0};
    pool.run(64, [&](int64_t begin, int64_t end, int) { done += static_cast<int>(end - begin); });
    CHECK_EQ(done.load(), 64);
  }
}

TEST("pool: a slow task makes others take the rest, not wait") {
  Pool pool(2);
  std::atomic<int64_t> by_slow{0}, all{0};
  pool.run(64, [&](int64_t begin, int64_t end, int) {
    if (begin == 0) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    if (begin == 0) by_slow = end - begin;
    all += end - begin;
  });
  CHECK_EQ(all.load(), 64);
  CHECK(by_slow.load() <= 16);  // the first range is half of a fair share
}

TEST("pool: the first exception reaches the caller and the pool stays usable") {
  Pool pool(4);
  for (int round = 0; round < 200; ++round) {
    CHECK_THROWS(pool.run(100,
                          [](int64_t begin, int64_t end, int) {
                            if (begin <= 50 && 50 < end) throw std::runtime_error("task 50 failed");
                          }),
                 "task 50 failed");
    std::atomic<int> done{0};
    pool.run(100, [&](int64_t begin, int64_t end, int) { done += static_cast<int>(end - begin); });
    CHECK_EQ(done.load(), 100);
  }
}

TEST("pool: one task runs on the caller") {
  Pool pool(2);
  const std::thread::id caller = std::this_thread::get_id();
  pool.run(1, [&](int64_t, int64_t, int thread) {
    CHECK_EQ(thread, 0);
    CHECK(std::this_thread::get_id() == caller);
  });
}

TEST("pool: no threads at all are refused") { CHECK_THROWS(Pool(0), "at least one thread"); }

TEST("cores: at least one, at most what the hardware has") {
  CHECK(usable_cores() >= 1);
  CHECK(usable_cores() <= static_cast<int>(std::thread::hardware_concurrency()));
}

TEST("cores: ranks share them, unless each has been given its own") {
  CHECK_EQ(cores_of_rank(64, 0, 4, false), 16);
  CHECK_EQ(cores_of_rank(16, 0, 4, true), 16);  // of its node
  CHECK_EQ(cores_of_rank(64, 1.5, 1, false), 2);
  CHECK_EQ(cores_of_rank(64, 10, 4, false), 2);
  CHECK_EQ(cores_of_rank(16, 10, 4, true), 2);  // the quota is for all
  CHECK_EQ(cores_of_rank(16, 0.5, 4, true), 1);
  CHECK_EQ(cores_of_rank(2, 100, 4, true), 2);
  CHECK_EQ(cores_of_rank(1, 0, 4, false), 1);
}

TEST("nodes: lists of CPUs") {
  CHECK(cpu_list("0-3,8,10-11") == (std::vector<int>{0, 1, 2, 3, 8, 10, 11}));
  CHECK(cpu_list("").empty());
  for (const char* const bad : {"a", "3-", "-3", "5-4", "1,", "1;2", "0-99999999"})
    CHECK_THROWS(cpu_list(bad), "is not a list of CPUs");
}

TEST("nodes: those with cores that this process may use, by number") {
  namespace fs = std::filesystem;
  const fs::path root = fs::temp_directory_path() / ("moproc-nodes-" + std::to_string(getpid()));
  const auto node = [&](const char* name, const std::string& cpus) {
    fs::create_directories(root / name);
    std::ofstream(root / name / "cpulist") << cpus << "\n";
  };
  const std::vector<int> own = numa_nodes()[0].cpus;
  const std::string first = std::to_string(own.front());
  node("node10", first);
  node("node2", first + ",1000");  // the process may not use CPU 1000
  node("node3", "");               // memory only
  node("node1", "1000-1001");
  node("nodes", first);
  setenv("MOPROC_NUMA_NODES", root.c_str(), 1);
  const std::vector<NumaNode> nodes = numa_nodes();
  setenv("MOPROC_NUMA_NODES", (root / "absent").c_str(), 1);
  const std::vector<NumaNode> none = numa_nodes();
  unsetenv("MOPROC_NUMA_NODES");
  fs::remove_all(root);
  CHECK_EQ(nodes.size(), 2u);
  CHECK_EQ(nodes[0].number, 2);
  CHECK_EQ(nodes[1].number, 10);
  CHECK(nodes[0].cpus == std::vector<int>{own.front()});
  CHECK_EQ(none.size(), 1u);
  CHECK(none[0].cpus.size() >= own.size());
}
