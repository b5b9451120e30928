// TCP connections of the store. Calls block, transfer whole lines or whole blocks of bytes, and return false on errors.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>

namespace moproc::comm {

struct StoreAddress {
  std::string host;  // name or address of the machine of rank 0
  int port = 0;      // rank 0 may give 0, which takes any free port
};

/// "tcp://HOST:PORT", with an IPv6 address in brackets.
std::string show(const StoreAddress& at);

/// Owns a connected or listening socket.
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
  void reset();
  /// Ends all reads and writes, those of other threads included.
  void end() const;

  /// Returns false if the other end has closed.
  bool send_all(const std::string& bytes) const;
  bool receive(char* to, size_t bytes) const;
  /// Reads up to the next newline, which it drops. Returns false on errors and for a line of more than 4096 bytes.
  bool line(std::string& text) const;

 private:
  int fd_;
};

/// Listens on all addresses of this machine and stores the port in `at.port`. Throws InputError naming port and remedy.
Socket listen_at(StoreAddress& at);

/// Connects, and retries until `limit`. Throws LostRank naming host, port and remedy; `timeout`: the seconds that the
/// message says it waited.
Socket connect_to(const StoreAddress& at, std::chrono::steady_clock::time_point limit, double timeout);

}  // namespace moproc::comm
