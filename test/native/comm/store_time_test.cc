// How long the store waits, measured by the clock: messages name the time-out even if it was not kept.
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <functional>
#include <mutex>
#include <thread>

#include "comm/store.h"
#include "comm/store_client.h"
#include "tap.h"

using namespace moproc;
using namespace moproc::comm;

namespace {

constexpr double kTimeout = 0.3;  // seconds

double seconds_of(const std::function<void()>& wait) {
  const auto start = std::chrono::steady_clock::now();
  wait();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Whether `wait` takes `seconds`, and not three times as long. A machine under load can be late, so that is asked
/// three times before it counts; who waits ten times as long is late each time.
bool takes(double seconds, const std::function<void()>& wait) {
  for (int attempt = 0; attempt < 3; ++attempt) {
    const double took = seconds_of(wait);
    if (took < 0.95 * seconds) return false;
    if (took < 3 * seconds) return true;
  }
  return false;
}

bool is_lost(const std::function<void()>& wait) {
  try {
    wait();
  } catch (const LostRank&) {
    return true;
  }
  return false;
}

/// Rank 0 of three in a process of its own, which is stopped; killed in the end, or when `limit` seconds have gone.
class StoppedRank {
 public:
  StoppedRank() {
    int ends[2];
    if (pipe(ends) != 0) throw std::runtime_error("no pipe");
    pid_ = fork();
    if (pid_ == 0) {
      const auto first = make_store({"localhost", 0}, 0, 4, 60);
      const int port = first->port();
      if (write(ends[1], &port, sizeof port) != sizeof port) _exit(1);
      for (;;) pause();
    }
    if (read(ends[0], &port_, sizeof port_) != sizeof port_) throw std::runtime_error("rank 0 did not start");
    close(ends[0]), close(ends[1]);
  }
  ~StoppedRank() {
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    if (guard_.joinable()) guard_.join();
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  StoreAddress address() const { return {"localhost", port_}; }
  void stop(double limit) {
    kill(pid_, SIGSTOP);
    waitpid(pid_, nullptr, WUNTRACED);
    guard_ = std::thread([this, limit] {
      std::unique_lock lock(mutex_);
      if (!changed_.wait_for(lock, std::chrono::duration<double>(limit), [this] { return over_; })) kill(pid_, SIGKILL);
    });
  }

 private:
  pid_t pid_ = 0;
  int port_ = 0;
  std::mutex mutex_;  // guards the following
  std::condition_variable changed_;
  bool over_ = false;
  std::thread guard_;
};

}  // namespace

TEST("the store waits for --timeout, by the clock: for a text, for ranks, for rank 0, for the others to leave") {
  const auto first = make_store({"localhost", 0}, 0, 3, kTimeout);
  const auto second = make_store({"localhost", first->port()}, 1, 3, kTimeout);
  CHECK(takes(kTimeout, [&] { CHECK(is_lost([&] { first->get("nothing"); })); }));
  CHECK(takes(kTimeout, [&] { CHECK(is_lost([&] { second->get("nothing"); })); }));
  CHECK(takes(kTimeout, [&] { CHECK(is_lost([&] { second->gather("what rank 2 does not bring", ""); })); }));
  int free = 0;
  {
    free = make_store({"localhost", 0}, 0, 2, kTimeout)->port();
  }
  CHECK(takes(kTimeout, [&] { CHECK(is_lost([&] { make_store({"localhost", free}, 1, 2, kTimeout); })); }));
  CHECK(takes(kTimeout, [&] {
    const auto alone = make_store({"localhost", 0}, 0, 2, kTimeout);
    CHECK(is_lost([&] { alone->gather("what rank 1 does not bring", ""); }));
  }));
  std::unique_ptr<Store> leaves_late;
  CHECK(takes(kTimeout, [&] {
    leaves_late.reset();
    const auto leaves = make_store({"localhost", 0}, 0, 2, kTimeout);
    leaves_late = make_store({"localhost", leaves->port()}, 1, 2, kTimeout);
  }));
}

TEST("rank 0 is stopped: everything that a client asks of it ends in time, and it is no dead rank") {
  constexpr Patience patience{0.2, 0.4};
  constexpr double limit = kTimeout + patience.longer;
  StoppedRank first;
  const auto client = [&](int rank) { return make_store_client(first.address(), rank, 4, kTimeout, patience); };
  const auto one = client(1), two = client(2);
  first.stop(12);
  std::string why, suspect, report = "not asked";
  double gather = 0, get = 0, join = 0, tell = 0;
  std::thread other([&] {
    get = seconds_of([&] { CHECK(is_lost([&] { two->get("nothing"); })); });
    join = seconds_of([&] { CHECK(is_lost([&] { client(3); })); });
  });
  tell = seconds_of([&] { report = one->report({7, 2, "all_gather of keys"}); });
  suspect = one->suspect();
  gather = seconds_of([&] {
    try {
      one->gather("labels", "");
    } catch (const LostRank& e) {
      why = e.what();
    }
  });
  other.join();
  CHECK_EQ(report, "");  // silence is no death
  CHECK(suspect.find(", which does not answer") != std::string::npos);
  CHECK(why.find(" has been missing for 0.3 s (--timeout); this rank waits in the exchange of labels") !=
        std::string::npos);
  for (const double s : {gather, get, join}) CHECK(s > 0.95 * limit && s < 6 * limit);
  CHECK(tell > 0.95 * patience.silence && tell < 6 * patience.silence);
}
