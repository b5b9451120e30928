// Two connections to rank 0: one for requests that may wait for other ranks, one for reports, which are answered at
// once. If rank 0 dies, the connections end; if it hangs, no answers arrive.
#include "comm/store_client.h"

#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <mutex>

#include "comm/members.h"
#include "core/error.h"

namespace moproc::comm {
namespace {

using Clock = std::chrono::steady_clock;

void limit_receive(const Socket& s, double seconds) {
  const timeval wait{static_cast<time_t>(seconds),
                     static_cast<suseconds_t>((seconds - static_cast<double>(static_cast<time_t>(seconds))) * 1e6)};
  setsockopt(s.fd(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
}

/// The text as one line, which a message can carry.
std::string flat(std::string text) {
  constexpr size_t kMost = 1500;
  for (char& c : text)
    if (c == '\n' || c == '\r') c = ' ';
  return text.substr(0, kMost);
}

class Client : public Store {
 public:
  Client(const StoreAddress& address, int rank, int ranks, double timeout, const Patience& patience)
      : address_(address), timeout_(timeout) {
    const auto limit =
        Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(timeout));
    socket_ = connect_to(address, limit, timeout);
    limit_receive(socket_, timeout + patience.longer);
    const Identity own = this_process();
    const std::string welcome = answer_to("hello " + std::to_string(rank) + " " + std::to_string(ranks) + " " +
                                          std::to_string(own.pid) + " " + own.host + "\n");
    char host[256] = "";
    std::sscanf(welcome.c_str(), "ok %d %255s", &first_.pid, host);
    first_.host = host;
    reports_ = connect_to(address, limit, timeout);
    limit_receive(reports_, patience.silence);
    std::string answer;
    if (!ask("watch " + std::to_string(rank) + "\n", answer)) gone();
  }
  ~Client() override { socket_.send_all("bye\n"); }

  void set(const std::string& key, const std::string& value) override {
    const std::lock_guard lock(mutex_);
    answer_to("set " + key + " " + std::to_string(value.size()) + "\n" + value);
  }
  std::string get(const std::string& key) override {
    const std::lock_guard lock(mutex_);
    std::string value(std::stoul(answer_to("get " + key + "\n").substr(3)), '\0');
    if (!socket_.receive(value.data(), value.size())) gone();
    return value;
  }
  std::vector<std::string> gather(const std::string& what, const std::string& own) override {
    const std::lock_guard lock(mutex_);
    std::string line;
    if (!socket_.send_all("gather " + std::to_string(gathered_++) + " " + std::to_string(own.size()) + " " +
                          flat(what) + "\n" + own) ||
        !socket_.line(line))
      lost(what);
    if (line.starts_with("lost ")) throw LostRank(line.substr(5) + "; this rank waits in the exchange of " + what);
    if (line.starts_with("no ")) throw InputError(show(address_) + ": " + line.substr(3));
    std::string all(std::stoul(line.substr(3)), '\0');
    if (!socket_.receive(all.data(), all.size())) lost(what);
    std::vector<std::string> texts;
    for (size_t at = 0; at < all.size();) {
      const size_t end = all.find('\n', at), size = std::stoul(all.substr(at, end - at));
      texts.push_back(all.substr(end + 1, size));
      at = end + 1 + size;
    }
    return texts;
  }
  std::string report(const Progress& at) override {
    std::string answer;
    const bool answered =
        ask("report " + std::to_string(at.step) + " " + std::to_string(at.done) + " " + flat(at.what) + "\n", answer);
    if (answered) return answer.starts_with("lost ") ? answer.substr(5) : "";
    return silent() ? "" : who_is_first() + " has died";
  }
  std::string suspect() override {
    std::string answer;
    if (ask("suspect\n", answer)) return answer.substr(std::min<size_t>(3, answer.size()));
    return who_is_first() + (silent() ? ", which does not answer" : ", which has died");
  }
  void give_up(const std::string& why) noexcept override {
    std::string answer;
    ask("give_up " + flat(why) + "\n", answer);
  }
  int port() const override { return address_.port; }

 private:
  std::string who_is_first() const {
    return "rank 0 (process " + std::to_string(first_.pid) + " on " + first_.host + ")";
  }

  [[noreturn]] void gone() const { throw LostRank(show(address_) + ": rank 0 ended before all ranks had connected"); }
  [[noreturn]] void lost(const std::string& what) const {
    char seconds[32];
    std::snprintf(seconds, sizeof seconds, "%g", timeout_);
    throw LostRank(
        who_is_first() +
        (errno == EAGAIN ? " has been missing for " + std::string(seconds) + " s (--timeout)" : " has died") +
        "; this rank waits in the exchange of " + what);
  }

  std::string answer_to(const std::string& message) {
    std::string line;
    if (!socket_.send_all(message) || !socket_.line(line)) gone();
    if (line.starts_with("no ")) throw InputError(show(address_) + ": " + line.substr(3));
    if (line.starts_with("lost ")) throw LostRank(show(address_) + ": " + line.substr(5));
    return line;
  }

  /// Sends a message and reads its answer, after any late answers to earlier messages. Returns false if there is no
  /// answer; silent() says whether that was a time-out.
  bool ask(const std::string& message, std::string& answer) {
    const std::lock_guard lock(reports_mutex_);
    const auto next = [&] {
      errno = 0;
      const bool read = reports_.line(answer);
      silent_ = !read && errno == EAGAIN;
      return read;
    };
    for (; pending_ > 0; --pending_)
      if (!next()) return false;
    silent_ = false;
    if (!reports_.send_all(message)) return false;
    ++pending_;
    if (!next()) return false;
    --pending_;
    return true;
  }
  bool silent() {
    const std::lock_guard lock(reports_mutex_);
    return silent_;
  }

  StoreAddress address_;
  const double timeout_;
  Identity first_;
  std::mutex mutex_;  // guards the following
  Socket socket_;
  uint64_t gathered_ = 0;
  std::mutex reports_mutex_;  // guards the following
  Socket reports_;
  int pending_ = 0;  // answers that have not arrived
  bool silent_ = false;
};

}  // namespace

std::unique_ptr<Store> make_store_client(const StoreAddress& address, int rank, int ranks, double timeout,
                                         const Patience& patience) {
  return std::make_unique<Client>(address, rank, ranks, timeout, patience);
}

}  // namespace moproc::comm
