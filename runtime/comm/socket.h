// TCP connections of the store: blocking, whole lines and whole blocks of bytes, errors as false.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>

namespace moproc::comm {

struct StoreAddress {
  std::string host;  // name or address of rank 0's machine
  int port = 0;      // rank 0: 0 takes any free one
};

/// "tcp://HOST:PORT".
std::string show(const StoreAddress& at);

/// A connected or listening socket, owned.
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
  /// Ends all reading and writing, of other threads too.
  void end() const;

  /// False when the other end has gone.
  bool send_all(const std::string& bytes) const;
  bool receive(char* to, size_t bytes) const;
  /// Up to and without the next newline; false also for a line of more than 4096 bytes.
  bool line(std::string& text) const;

 private:
  int fd_;
};

/// Listens on every address of this machine; `at.port` becomes the port. Throws InputError naming port and remedy.
Socket listen_at(StoreAddress& at);

/// Connects, trying again until `limit`. Throws LostRank naming host, port and remedy; `timeout` (s) is what it says it
/// waited.
Socket connect_to(const StoreAddress& at, std::chrono::steady_clock::time_point limit, double timeout);

}  // namespace moproc::comm
