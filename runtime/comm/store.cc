// Rank 0's side: one thread per connection answers. Protocol, one line per message (SIZE: bytes that follow the line):
//
//   hello RANK RANKS PID HOST  -> ok PID HOST | no TEXT          a rank's own connection; if it breaks, the rank died
//   set KEY SIZE               -> ok
//   get KEY                    -> ok SIZE | lost TEXT
//   gather NUMBER SIZE WHAT    -> ok SIZE | no TEXT | lost TEXT
//   bye                                                          no answer
//   watch RANK                 -> ok                             another connection, which is answered without delay
//   report STEP DONE WHAT      -> ok | lost TEXT
//   suspect                    -> ok TEXT
//   give_up TEXT               -> ok
#include "comm/store.h"

#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <cinttypes>
#include <condition_variable>
#include <cstdio>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <thread>

#include "comm/members.h"
#include "comm/store_client.h"
#include "core/error.h"

namespace moproc::comm {
namespace {

class Server : public Store {
 public:
  Server(const StoreAddress& address, int ranks, double timeout)
      : address_(address),
        ranks_(ranks),
        timeout_(timeout),
        listening_(listen_at(address_)),
        members_(ranks, this_process()) {
    accepting_ = std::thread([this] { accept_all(); });
  }

  /// Rank 0 leaves last, so that no rank mistakes its end for its death. After giving up it stays for as long as the
  /// other ranks need to receive the reason.
  ~Server() override {
    {
      constexpr double kToHear = 2.5;  // seconds; reports come every second at the latest
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock,
                        std::chrono::duration<double>(members_.lost().empty() ? timeout_ : std::min(timeout_, kToHear)),
                        [this] { return here_ == 0; });
      stop_ = true;
    }
    listening_.end();
    accepting_.join();
    for (Socket& s : connections_) s.end();
    changed_.notify_all();
    for (std::thread& t : threads_) t.join();
  }

  void set(const std::string& key, const std::string& value) override {
    const std::lock_guard lock(mutex_);
    texts_[key] = value;
    changed_.notify_all();
  }
  std::string get(const std::string& key) override {
    std::string value;
    if (!find(key, value))
      throw LostRank(show(address_) + ": no rank has set " + key + " within the time-out; are all ranks running?");
    return value;
  }
  std::vector<std::string> gather(const std::string& what, const std::string& own) override {
    return collect(0, gathered_++, what, own);
  }
  std::string report(const Progress& at) override {
    const std::lock_guard lock(mutex_);
    members_.reported(0, at);
    return members_.lost();
  }
  std::string suspect() override {
    const std::lock_guard lock(mutex_);
    return members_.suspect(0);
  }
  void give_up(const std::string& why) noexcept override { note_end(0, why); }
  int port() const override { return address_.port; }

 private:
  struct Gathering {
    std::string what;
    std::vector<std::optional<std::string>> texts;
    int here = 0, taken = 0;
  };

  void accept_all() {
    while (!stop_) {
      Socket s(accept4(listening_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
      if (s.fd() < 0) {
        if (stop_ || (errno != EINTR && errno != ECONNABORTED)) return;
        continue;
      }
      const std::lock_guard lock(mutex_);
      connections_.push_back(std::move(s));
      threads_.emplace_back([this, &own = connections_.back()] {
        serve(own);
        own.end();
      });
    }
  }

  bool find(const std::string& key, std::string& value) {
    std::unique_lock lock(mutex_);
    const auto limit = std::chrono::duration<double>(timeout_);
    if (!changed_.wait_for(lock, limit, [&] { return stop_ || texts_.contains(key); }) || stop_) return false;
    value = texts_[key];
    return true;
  }

  /// Adds a rank's text and waits for the texts of all others.
  std::vector<std::string> collect(int rank, uint64_t number, const std::string& what, const std::string& own) {
    std::unique_lock lock(mutex_);
    Gathering& g = gatherings_[number];
    if (g.here == 0) {
      g.what = what;
      g.texts.resize(static_cast<size_t>(ranks_));
    }
    if (g.what != what)
      throw InputError("the ranks are at different places: one exchanges " + g.what + ", but rank " +
                       std::to_string(rank) + " " + what);
    g.texts[static_cast<size_t>(rank)] = own;
    ++g.here;
    changed_.notify_all();
    const bool ended = changed_.wait_for(lock, std::chrono::duration<double>(timeout_),
                                         [&] { return stop_ || !members_.lost().empty() || g.here == ranks_; });
    if (g.here != ranks_) {
      if (!members_.lost().empty()) throw LostRank(members_.lost());
      if (!ended) throw LostRank(missed(g));
      throw LostRank("the run has ended");
    }
    std::vector<std::string> all;
    for (const auto& text : g.texts) all.push_back(*text);
    if (++g.taken == ranks_) gatherings_.erase(number);
    return all;
  }

  std::string missed(const Gathering& g) const {
    int r = 0;
    while (g.texts[static_cast<size_t>(r)]) ++r;
    char seconds[32];
    std::snprintf(seconds, sizeof seconds, "%g", timeout_);
    return members_.who(r) + (members_.is_here(r)
                                  ? " has been missing for " + std::string(seconds) +
                                        " s (--timeout): it was last seen in " + members_.place(r)
                                  : " has not connected within " + std::string(seconds) + " s (--timeout)");
  }

  std::string welcome(int rank, int ranks, const Identity& who) {
    const std::lock_guard lock(mutex_);
    if (ranks != ranks_)
      return "no rank " + std::to_string(rank) + " belongs to a run of " + std::to_string(ranks) +
             " ranks, rank 0 to one of " + std::to_string(ranks_);
    if (rank < 1 || rank >= ranks)
      return "no there is no rank " + std::to_string(rank) + " of " + std::to_string(ranks);
    if (members_.is_here(rank))
      return "no rank " + std::to_string(rank) + " is connected already: each rank must have its own number";
    members_.arrived(rank, who);
    ++here_;
    const Identity own = this_process();
    return "ok " + std::to_string(own.pid) + " " + own.host;
  }

  /// Notes that a rank gave up (`why`) or, without a reason, that it ended normally.
  void note_end(int rank, const std::optional<std::string>& why) {
    const std::lock_guard lock(mutex_);
    if (why) members_.gave_up(rank, *why);
    else members_.left(rank);
    changed_.notify_all();
  }

  void serve(const Socket& s) {
    std::string line;
    int rank = 0, ranks = 0, pid = 0;
    char host[256] = "";
    if (!s.line(line)) return;
    if (std::sscanf(line.c_str(), "watch %d", &rank) == 1) return serve_watch(s, rank);
    if (std::sscanf(line.c_str(), "hello %d %d %d %255s", &rank, &ranks, &pid, host) != 4) return;
    const std::string answer = welcome(rank, ranks, {pid, host});
    if (!s.send_all(answer + "\n") || answer.starts_with("no")) return;
    while (s.line(line) && serve_line(s, rank, line)) {
    }
    const std::lock_guard lock(mutex_);
    members_.disconnected(rank);
    --here_;
    changed_.notify_all();
  }

  bool serve_line(const Socket& s, int rank, const std::string& line) {
    char key[256];
    size_t size = 0;
    uint64_t number = 0;
    const auto value_of = [&](std::string& value) {
      constexpr size_t kLargest = 64 << 20;
      if (size > kLargest) return false;
      value.resize(size);
      return s.receive(value.data(), size);
    };
    std::string value;
    if (std::sscanf(line.c_str(), "set %255s %zu", key, &size) == 2) {
      if (!value_of(value)) return false;
      set(key, value);
      return s.send_all("ok\n");
    }
    if (std::sscanf(line.c_str(), "get %255s", key) == 1)
      return s.send_all(find(key, value) ? "ok " + std::to_string(value.size()) + "\n" + value
                                         : "lost no rank has set " + std::string(key) + "\n");
    if (int behind = 0;
        std::sscanf(line.c_str(), "gather %" SCNu64 " %zu %n", &number, &size, &behind) == 2 && behind > 0)
      return value_of(value) &&
             s.send_all(answer_to_gather(rank, number, line.substr(static_cast<size_t>(behind)), value));
    if (line == "bye") note_end(rank, std::nullopt);
    return false;
  }

  std::string answer_to_gather(int rank, uint64_t number, const std::string& what, const std::string& own) {
    try {
      std::string all;
      for (const std::string& text : collect(rank, number, what, own)) all += std::to_string(text.size()) + "\n" + text;
      return "ok " + std::to_string(all.size()) + "\n" + all;
    } catch (const LostRank& e) {
      return std::string("lost ") + e.what() + "\n";
    } catch (const InputError& e) {
      return std::string("no ") + e.what() + "\n";
    }
  }

  void serve_watch(const Socket& s, int rank) {
    if (rank < 1 || rank >= ranks_ || !s.send_all("ok\n")) return;
    std::string line;
    while (s.line(line)) {
      Progress at;
      int behind = 0;
      std::string answer = "ok";
      if (std::sscanf(line.c_str(), "report %" SCNd64 " %" SCNd64 " %n", &at.step, &at.done, &behind) == 2 &&
          behind > 0) {
        at.what = line.substr(static_cast<size_t>(behind));
        const std::lock_guard lock(mutex_);
        members_.reported(rank, at);
        if (!members_.lost().empty()) answer = "lost " + members_.lost();
      } else if (line == "suspect") {
        const std::lock_guard lock(mutex_);
        answer += " " + members_.suspect(rank);
      } else if (line.starts_with("give_up ")) {
        note_end(rank, line.substr(8));
      }
      if (!s.send_all(answer + "\n")) return;
    }
  }

  StoreAddress address_;
  const int ranks_;
  const double timeout_;
  Socket listening_;
  std::atomic<bool> stop_{false};
  uint64_t gathered_ = 0;  // used only by rank 0's own thread
  std::mutex mutex_;       // guards the following
  std::condition_variable changed_;
  std::map<std::string, std::string> texts_;
  std::map<uint64_t, Gathering> gatherings_;
  Members members_;
  int here_ = 0;  // other ranks that are connected
  std::list<Socket> connections_;
  std::list<std::thread> threads_;
  std::thread accepting_;
};

}  // namespace

std::unique_ptr<Store> make_store(const StoreAddress& address, int rank, int ranks, double timeout) {
  if (rank == 0) return std::make_unique<Server>(address, ranks, timeout);
  return make_store_client(address, rank, ranks, timeout);
}

}  // namespace moproc::comm
