// Messages are lines: "hello RANK RANKS", "set KEY SIZE" and "get KEY", the last two followed or answered by bytes. A thread
// a connection answers; an error is answered by "no TEXT".
#include "comm/store.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <list>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "core/error.h"

namespace moproc::comm {
namespace {

using Clock = std::chrono::steady_clock;

std::string show(const StoreAddress& a) { return "tcp://" + a.host + ":" + std::to_string(a.port); }

/// A connected or listening socket.
class Socket {
 public:
  explicit Socket(int fd = -1) : fd_(fd) {}
  ~Socket() { reset(); }
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    reset();
    fd_ = std::exchange(other.fd_, -1);
    return *this;
  }
  int fd() const { return fd_; }
  void reset() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  /// Ends all reading and writing, of other threads too.
  void end() const { shutdown(fd_, SHUT_RDWR); }

  bool send_all(const std::string& bytes) const {
    for (size_t at = 0; at < bytes.size();) {
      const ssize_t n = send(fd_, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
      if (n <= 0 && errno != EINTR) return false;
      if (n > 0) at += static_cast<size_t>(n);
    }
    return true;
  }
  bool receive(char* to, size_t bytes) const {
    for (size_t at = 0; at < bytes;) {
      const ssize_t n = recv(fd_, to + at, bytes - at, 0);
      if (n == 0 || (n < 0 && errno != EINTR)) return false;
      if (n > 0) at += static_cast<size_t>(n);
    }
    return true;
  }
  bool line(std::string& text) const {
    constexpr size_t kLongest = 4096;
    text.clear();
    for (char c; text.size() < kLongest;) {
      if (!receive(&c, 1)) return false;
      if (c == '\n') return true;
      text += c;
    }
    return false;
  }

 private:
  int fd_;
};

struct Addresses {
  addrinfo* list = nullptr;
  ~Addresses() {
    if (list) freeaddrinfo(list);
  }
};

void resolve(const StoreAddress& at, bool passive, Addresses& to) {
  addrinfo want{};
  want.ai_family = AF_UNSPEC;
  want.ai_socktype = SOCK_STREAM;
  want.ai_flags = passive ? AI_PASSIVE : 0;
  const int error = getaddrinfo(passive ? nullptr : at.host.c_str(), std::to_string(at.port).c_str(), &want, &to.list);
  if (error != 0) throw InputError(show(at) + ": " + gai_strerror(error) + "; --dist-url names the machine of rank 0");
}

/// Rank 0's: the texts, and the threads that hand them out.
class Server : public Store {
 public:
  Server(const StoreAddress& address, int ranks, double timeout) : address_(address), ranks_(ranks), timeout_(timeout) {
    listen_on();
    accepting_ = std::thread([this] { accept_all(); });
  }
  ~Server() override {
    stop_ = true;
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
    if (!find(key, value)) throw InputError(show(address_) + ": nobody has told " + key + " within the time-out; are all ranks running?");
    return value;
  }
  int port() const override { return address_.port; }

 private:
  void listen_on() {
    Addresses found;
    resolve(address_, true, found);
    int error = 0;
    for (const addrinfo* a = found.list; a; a = a->ai_next) {
      Socket s(socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const int on = 1, off = 0;
      setsockopt(s.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
      if (a->ai_family == AF_INET6) setsockopt(s.fd(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
      if (s.fd() >= 0 && bind(s.fd(), a->ai_addr, a->ai_addrlen) == 0 && listen(s.fd(), 1024) == 0) {
        sockaddr_storage own{};
        socklen_t size = sizeof own;
        getsockname(s.fd(), reinterpret_cast<sockaddr*>(&own), &size);
        address_.port = ntohs(own.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(own).sin6_port : reinterpret_cast<sockaddr_in&>(own).sin_port);
        listening_ = std::move(s);
        return;
      }
      error = errno;
    }
    throw InputError(show(address_) + ": " + std::strerror(error) + (error == EADDRINUSE ? "; another run uses the port: choose another in --dist-url" : ""));
  }

  void accept_all() {
    while (!stop_) {
      Socket s(accept4(listening_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
      if (s.fd() < 0) {
        if (stop_ || (errno != EINTR && errno != ECONNABORTED)) return;
        continue;
      }
      const std::lock_guard lock(mutex_);
      connections_.push_back(std::move(s));
      threads_.emplace_back([this, &own = connections_.back()] { serve(own); });
    }
  }

  bool find(const std::string& key, std::string& value) {
    std::unique_lock lock(mutex_);
    const auto limit = std::chrono::duration<double>(timeout_);
    if (!changed_.wait_for(lock, limit, [&] { return stop_ || texts_.contains(key); }) || stop_) return false;
    value = texts_[key];
    return true;
  }

  std::string welcome(int rank, int ranks) {
    const std::lock_guard lock(mutex_);
    if (ranks != ranks_) return "no rank " + std::to_string(rank) + " is of a run of " + std::to_string(ranks) + " ranks, rank 0 of one of " + std::to_string(ranks_);
    if (rank < 1 || rank >= ranks) return "no there is no rank " + std::to_string(rank) + " of " + std::to_string(ranks);
    if (!greeted_.insert(rank).second) return "no rank " + std::to_string(rank) + " is there already: each rank has to have a number of its own";
    return "ok";
  }

  void serve(const Socket& s) {
    std::string line;
    int rank = 0, ranks = 0;
    if (!s.line(line) || std::sscanf(line.c_str(), "hello %d %d", &rank, &ranks) != 2) return s.end();
    const std::string answer = welcome(rank, ranks);
    if (!s.send_all(answer + "\n") || answer != "ok") return s.end();
    char key[256];
    while (s.line(line)) {
      size_t size = 0;
      if (std::sscanf(line.c_str(), "set %255s %zu", key, &size) == 2 && size < (1 << 20)) {
        std::string value(size, '\0');
        if (!s.receive(value.data(), size)) return;
        set(key, value);
        if (!s.send_all("ok\n")) return;
      } else if (std::sscanf(line.c_str(), "get %255s", key) == 1) {
        std::string value;
        const bool found = find(key, value);
        if (!s.send_all(found ? "ok " + std::to_string(value.size()) + "\n" + value : "no nobody has told " + std::string(key) + "\n")) return;
      } else {
        return s.end();
      }
    }
  }

  StoreAddress address_;
  const int ranks_;
  const double timeout_;
  Socket listening_;
  std::atomic<bool> stop_{false};
  std::mutex mutex_;  // guards the following
  std::condition_variable changed_;
  std::map<std::string, std::string> texts_;
  std::set<int> greeted_;
  std::list<Socket> connections_;
  std::list<std::thread> threads_;
  std::thread accepting_;
};

class Client : public Store {
 public:
  Client(const StoreAddress& address, int rank, int ranks, double timeout) : address_(address), timeout_(timeout) {
    connect_until(Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(timeout)));
    answer_to("hello " + std::to_string(rank) + " " + std::to_string(ranks) + "\n");
  }

  void set(const std::string& key, const std::string& value) override {
    const std::lock_guard lock(mutex_);
    answer_to("set " + key + " " + std::to_string(value.size()) + "\n" + value);
  }
  std::string get(const std::string& key) override {
    const std::lock_guard lock(mutex_);
    std::string value(std::stoul(answer_to("get " + key + "\n").substr(3)), '\0');
    if (!socket_.receive(value.data(), value.size())) lost();
    return value;
  }
  int port() const override { return address_.port; }

 private:
  void connect_until(Clock::time_point limit) {
    Addresses found;
    resolve(address_, false, found);
    for (;;) {
      int error = 0;
      for (const addrinfo* a = found.list; a; a = a->ai_next) {
        Socket s(socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (s.fd() >= 0 && connect_within(s, *a, limit, error)) {
          const int on = 1;
          setsockopt(s.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
          socket_ = std::move(s);
          return;
        }
      }
      if (Clock::now() >= limit) {
        char seconds[32];
        std::snprintf(seconds, sizeof seconds, "%g", timeout_);
        throw InputError(show(address_) + ": rank 0 did not answer within " + seconds + " s (" + std::strerror(error) +
                         "); it has to run on that machine, with that port open (--dist-url, --timeout)");
      }
      constexpr auto kAgain = std::chrono::milliseconds(100);
      std::this_thread::sleep_for(kAgain);
    }
  }

  static bool connect_within(const Socket& s, const addrinfo& to, Clock::time_point limit, int& error) {
    const auto left = std::chrono::duration_cast<std::chrono::microseconds>(limit - Clock::now()).count();
    const timeval wait{left > 1000000 ? left / 1000000 : 1, 0};
    setsockopt(s.fd(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);  // connect() heeds it
    if (connect(s.fd(), to.ai_addr, to.ai_addrlen) == 0) return true;
    error = errno == EINPROGRESS ? ETIMEDOUT : errno;
    return false;
  }

  [[noreturn]] void lost() const { throw InputError(show(address_) + ": rank 0 has gone before all ranks had met"); }

  std::string answer_to(const std::string& message) {
    std::string line;
    if (!socket_.send_all(message) || !socket_.line(line)) lost();
    if (line.starts_with("no ")) throw InputError(show(address_) + ": " + line.substr(3));
    return line;
  }

  StoreAddress address_;
  const double timeout_;
  std::mutex mutex_;
  Socket socket_;
};

}  // namespace

std::unique_ptr<Store> make_store(const StoreAddress& address, int rank, int ranks, double timeout) {
  if (rank == 0) return std::make_unique<Server>(address, ranks, timeout);
  return std::make_unique<Client>(address, rank, ranks, timeout);
}

}  // namespace moproc::comm
