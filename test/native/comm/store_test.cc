// The store between threads and processes that act as ranks: the errors for a wrong rank, size, port or address, and
// what ranks learn about lost ranks.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <thread>

#include "comm/members.h"
#include "comm/store.h"
#include "comm/watch.h"
#include "core/error.h"
#include "tap.h"

using namespace moproc;
using namespace moproc::comm;

namespace {

std::string refusal(const StoreAddress& at, int rank, int ranks, double timeout = 1) {
  try {
    make_store(at, rank, ranks, timeout);
    return "";
  } catch (const InputError& e) {
    return std::string("input: ") + e.what();
  } catch (const LostRank& e) {
    return std::string("lost: ") + e.what();
  }
}

#define CHECK_HAS(text, part) CHECK(std::string(text).find(part) != std::string::npos)

}  // namespace

TEST("rank 0 is found under each of its addresses: IPv4, IPv6 where there is one, and a name with both") {
  StoreAddress own{"localhost", 0};
  const Socket listening = listen_at(own);
  std::vector<std::string> hosts{"localhost", "127.0.0.1"};
  if (access("/proc/net/if_inet6", R_OK) == 0) hosts.push_back("::1");
  for (const std::string& host : hosts) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    CHECK(connect_to({host, own.port}, limit, 5).fd() >= 0);
  }
}

TEST("texts of any bytes go from rank to rank, and a get waits for its set") {
  const auto first = make_store({"localhost", 0}, 0, 3, 5);
  const StoreAddress at{"localhost", first->port()};
  std::string long_text(100000, 'x');
  long_text[5] = '\0';
  long_text[6] = '\n';
  std::string got;
  std::thread later([&] { got = make_store(at, 1, 3, 5)->get("who"); });
  const auto second = make_store(at, 2, 3, 5);
  second->set("who", long_text);
  later.join();
  CHECK(got == long_text);
  CHECK(first->get("who") == long_text);
  first->set("empty", "");
  CHECK_EQ(second->get("empty"), "");
}

TEST("rank 0 may come later than the others") {
  int port = 0;
  {
    port = make_store({"localhost", 0}, 0, 2, 1)->port();
  }
  std::string got;
  std::thread early([&] { got = make_store({"localhost", port}, 1, 2, 5)->get("k"); });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const auto first = make_store({"localhost", port}, 0, 2, 5);
  first->set("k", "v");
  early.join();
  CHECK_EQ(got, "v");
}

TEST("a run of another size, a rank twice, a rank that is none") {
  const auto first = make_store({"localhost", 0}, 0, 3, 5);
  const StoreAddress at{"localhost", first->port()};
  CHECK_HAS(refusal(at, 1, 4), "rank 1 belongs to a run of 4 ranks, rank 0 to one of 3");
  const auto one = make_store(at, 1, 3, 5);
  CHECK_HAS(refusal(at, 1, 3), "rank 1 is connected already");
  CHECK_HAS(refusal(at, 3, 3), "there is no rank 3 of 3");
}

TEST("a port in use, a machine that does not answer, a name that is none: said in time") {
  const auto first = make_store({"localhost", 0}, 0, 2, 5);
  CHECK_HAS(refusal({"localhost", first->port()}, 0, 2), "choose another in --dist-url");
  int free = 0;
  {
    free = make_store({"localhost", 0}, 0, 2, 1)->port();
  }
  const auto start = std::chrono::steady_clock::now();
  CHECK_HAS(refusal({"localhost", free}, 1, 2, 0.5),
            "lost: tcp://localhost:" + std::to_string(free) + ": rank 0 did not answer within 0.5 s");
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
  CHECK_HAS(refusal({"no-such-host.invalid", 1}, 1, 2, 0.3),
            "lost: tcp://no-such-host.invalid:1: rank 0 did not answer within 0.3 s (");
}

TEST("nobody tells: the wait ends") {
  const auto first = make_store({"localhost", 0}, 0, 2, 0.3);
  const auto second = make_store({"localhost", first->port()}, 1, 2, 0.3);
  for (Store* s : {first.get(), second.get()}) {
    std::string why;
    try {
      s->get("nothing");
    } catch (const LostRank& e) {
      why = e.what();
    }
    CHECK_HAS(why, "no rank has set nothing");
  }
}

namespace {

/// Rank 0's store and those of the others, all met.
std::vector<std::unique_ptr<Store>> meeting(int ranks, double timeout) {
  std::vector<std::unique_ptr<Store>> all;
  all.push_back(make_store({"localhost", 0}, 0, ranks, timeout));
  for (int r = 1; r < ranks; ++r) all.push_back(make_store({"localhost", all[0]->port()}, r, ranks, timeout));
  return all;
}

/// What gather() throws, by type and text.
std::string lost(Store& s, const std::string& what) {
  try {
    s.gather(what, "");
    return "";
  } catch (const LostRank& e) {
    return std::string("lost: ") + e.what();
  } catch (const InputError& e) {
    return std::string("input: ") + e.what();
  }
}

/// A child that is `rank` of two, says where it is and does `harm`. Returns its process.
pid_t child(int port, double timeout, const std::function<void(Store&)>& harm) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  const auto s = make_store({"localhost", port}, 1, 2, timeout);
  s->report({7, 2, "all_gather of keys"});
  s->gather("the beginning", "");
  harm(*s);
  _exit(0);
}

}  // namespace

TEST("texts of all ranks in their order, again and again, of any size") {
  auto all = meeting(5, 10);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int r = 0; r < 5; ++r)
    threads.emplace_back([&, r] {
      for (int i = 0; i < 200; ++i) {
        const auto text = [&](int of) {
          return std::string(static_cast<size_t>((of * 37 + i) % 300), static_cast<char>('a' + of)) +
                 std::string(1, '\0');
        };
        const auto texts = all[static_cast<size_t>(r)]->gather("round " + std::to_string(i), text(r));
        for (int of = 0; of < 5; ++of) wrong += texts[static_cast<size_t>(of)] != text(of);
      }
    });
  for (std::thread& t : threads) t.join();
  CHECK_EQ(wrong.load(), 0);
  while (all.size() > 1) all.pop_back();
}

TEST("ranks at different places of the program are told so") {
  auto all = meeting(2, 5);
  std::string other;
  std::thread t([&] { other = lost(*all[1], "labels"); });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const std::string own = lost(*all[0], "signals");
  CHECK_HAS(own + other, "one exchanges ");
  all[0]->give_up("that");
  t.join();
  all.pop_back();
}

TEST("a rank that dies, gives up, hangs or never comes: named with process, host, step and collective") {
  const auto heard = [](double timeout, const std::function<void(Store&)>& harm) {
    const auto first = make_store({"localhost", 0}, 0, 2, timeout);
    const pid_t pid = child(first->port(), timeout, harm);
    first->gather("the beginning", "");
    const std::string why = lost(*first, "the end");
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    return why;
  };
  CHECK_HAS(heard(20, [](Store&) { raise(SIGKILL); }), "has died in step 7, all_gather of keys");
  CHECK_HAS(heard(20, [](Store& s) { s.give_up("the disk\nis on fire"), pause(); }), "gave up: the disk is on fire");
  CHECK_HAS(heard(0.5, [](Store&) { raise(SIGSTOP); }),
            "has been missing for 0.5 s (--timeout): it was last seen in step 7, all_gather of keys");
  const auto alone = make_store({"localhost", 0}, 0, 2, 0.3);
  CHECK_HAS(lost(*alone, "anything"), "rank 1 has not connected within 0.3 s");
}

TEST("rank 0 dies or gives up: the others hear of it") {
  for (const bool dies : {true, false}) {
    int port[2];
    CHECK_EQ(pipe(port), 0);
    const pid_t pid = fork();
    if (pid == 0) {
      const auto first = make_store({"localhost", 0}, 0, 2, 20);
      const int p = first->port();
      if (write(port[1], &p, sizeof p) != sizeof p) _exit(1);
      first->gather("the beginning", "");
      usleep(200000);  // until the others have their answers
      if (dies) raise(SIGKILL);
      first->give_up("no memory");
      _exit(0);
    }
    int p = 0;
    CHECK_EQ(read(port[0], &p, sizeof p), static_cast<ssize_t>(sizeof p));
    const auto second = make_store({"localhost", p}, 1, 2, 20);
    second->gather("the beginning", "");
    if (dies) waitpid(pid, nullptr, 0);
    else std::this_thread::sleep_for(std::chrono::milliseconds(50));
    Watch watch(*second, 20);
    std::string why;
    const auto start = std::chrono::steady_clock::now();
    while (why.empty() && std::chrono::steady_clock::now() - start < std::chrono::seconds(10)) try {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        watch.check(0);
      } catch (const LostRank& e) {
        why = e.what();
      }
    CHECK_HAS(why, "rank 0 (process " + std::to_string(pid) + " on ");
    if (dies) {
      CHECK_HAS(why, "has died; this rank waits in the beginning");
      CHECK_HAS(lost(*second, "more"), "has died; this rank waits in the exchange of more");
    }
    if (!dies) waitpid(pid, nullptr, 0);
    close(port[0]), close(port[1]);
  }
}

TEST("the suspect is who was silent for long, else who is furthest behind") {
  Members members(4, {10, "h0"});
  for (int r = 1; r < 3; ++r) members.arrived(r, {10 + r, "h" + std::to_string(r)});
  members.reported(0, {5, 3, "all_reduce of a"});
  members.reported(1, {5, 2, "all_reduce of b"});
  members.reported(2, {5, 4, "all_reduce of c"});
  CHECK_EQ(members.suspect(2), "rank 3, which has never connected");
  members.arrived(3, {13, "h3"});
  members.reported(3, {6, 0, ""});
  CHECK_EQ(members.suspect(2), "rank 1 (process 11 on h1), last seen in step 5, all_reduce of b");
  CHECK_EQ(members.suspect(1), "rank 0 (process 10 on h0), last seen in step 5, all_reduce of a");
  CHECK_EQ(members.lost(), "");
  members.left(3);
  members.disconnected(3);
  CHECK_EQ(members.lost(), "");
  members.disconnected(2);
  members.gave_up(1, "why");
  CHECK_EQ(members.lost(), "rank 2 (process 12 on h2) has died in step 5, all_reduce of c");
}

TEST("a rank that waits too long says for whom, and where itself is") {
  auto all = meeting(2, 0.2);
  Watch own(*all[0], 0.2);
  own.at_step(9);
  own.in("all_reduce of x");
  all[1]->report({8, 1, "all_gather of y"});
  own.check(0.1);
  std::string why;
  try {
    own.check(0.3);
  } catch (const LostRank& e) {
    why = e.what();
  }
  CHECK_HAS(why, "rank 1 (process ");
  CHECK_HAS(why,
            "last seen in step 8, all_gather of y, has been missing for 0.2 s (--timeout); this rank waits in step 9, "
            "all_reduce of x");
  CHECK_HAS(own.verdict(), "is the likely reason; this rank is in step 9");
  all.pop_back();
}
