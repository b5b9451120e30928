// Names resolve to several addresses (IPv6 and IPv4). Connecting tries all of them, so listening has to accept both
// kinds: on an IPv6 socket, which takes IPv4 connections, too, or on an IPv4 socket where there is no IPv6.
#include "comm/socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

#include "comm/store.h"
#include "core/error.h"

namespace moproc::comm {
namespace {

using Clock = std::chrono::steady_clock;

struct Addresses {
  addrinfo* list = nullptr;
  ~Addresses() {
    if (list) freeaddrinfo(list);
  }
};

/// Resolves the name; returns why that failed, or "".
std::string resolve(const StoreAddress& at, bool passive, Addresses& to) {
  addrinfo want{};
  want.ai_family = AF_UNSPEC;
  want.ai_socktype = SOCK_STREAM;
  want.ai_flags = passive ? AI_PASSIVE : 0;
  const int error = getaddrinfo(passive ? nullptr : at.host.c_str(), std::to_string(at.port).c_str(), &want, &to.list);
  return error == 0 ? "" : gai_strerror(error);
}

bool connect_within(const Socket& s, const addrinfo& to, Clock::time_point limit, int& error) {
  const auto left = std::chrono::duration_cast<std::chrono::microseconds>(limit - Clock::now()).count();
  const timeval wait{left > 1000000 ? left / 1000000 : 1, 0};
  setsockopt(s.fd(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);  // connect() obeys it
  if (connect(s.fd(), to.ai_addr, to.ai_addrlen) == 0) return true;
  error = errno == EINPROGRESS ? ETIMEDOUT : errno;
  return false;
}

}  // namespace

std::string show(const StoreAddress& at) {
  const bool v6 = at.host.find(':') != std::string::npos;
  return "tcp://" + (v6 ? "[" + at.host + "]" : at.host) + ":" + std::to_string(at.port);
}

void Socket::reset() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

void Socket::end() const { shutdown(fd_, SHUT_RDWR); }

bool Socket::send_all(const std::string& bytes) const {
  for (size_t at = 0; at < bytes.size();) {
    const ssize_t n = send(fd_, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
    if (n <= 0 && errno != EINTR) return false;
    if (n > 0) at += static_cast<size_t>(n);
  }
  return true;
}

bool Socket::receive(char* to, size_t bytes) const {
  for (size_t at = 0; at < bytes;) {
    const ssize_t n = recv(fd_, to + at, bytes - at, 0);
    if (n == 0 || (n < 0 && errno != EINTR)) return false;
    if (n > 0) at += static_cast<size_t>(n);
  }
  return true;
}

bool Socket::line(std::string& text) const {
  constexpr size_t kLongest = 4096;
  text.clear();
  for (char c; text.size() < kLongest;) {
    if (!receive(&c, 1)) return false;
    if (c == '\n') return true;
    text += c;
  }
  return false;
}

Socket listen_at(StoreAddress& at) {
  Addresses found;
  if (const std::string why = resolve(at, true, found); !why.empty()) throw InputError(show(at) + ": " + why);
  int error = 0;
  std::vector<const addrinfo*> addresses;
  for (const addrinfo* a = found.list; a; a = a->ai_next) addresses.push_back(a);
  std::stable_partition(addresses.begin(), addresses.end(), [](const addrinfo* a) { return a->ai_family == AF_INET6; });
  for (const addrinfo* a : addresses) {
    Socket s(socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int on = 1, off = 0;
    setsockopt(s.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (a->ai_family == AF_INET6) setsockopt(s.fd(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    if (s.fd() >= 0 && bind(s.fd(), a->ai_addr, a->ai_addrlen) == 0 && listen(s.fd(), 1024) == 0) {
      sockaddr_storage own{};
      socklen_t size = sizeof own;
      getsockname(s.fd(), reinterpret_cast<sockaddr*>(&own), &size);
      at.port = ntohs(own.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(own).sin6_port
                                                : reinterpret_cast<sockaddr_in&>(own).sin_port);
      return s;
    }
    error = errno;
  }
  throw InputError(show(at) + ": " + std::strerror(error) +
                   (error == EADDRINUSE ? "; another run uses the port: choose another in --dist-url" : ""));
}

Socket connect_to(const StoreAddress& at, Clock::time_point limit, double timeout) {
  for (;;) {
    Addresses found;  // resolved each time, because a name may become known only while a cluster starts
    std::string why = resolve(at, false, found);
    int error = 0;
    for (const addrinfo* a = found.list; a; a = a->ai_next) {
      Socket s(socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
      if (s.fd() < 0 || !connect_within(s, *a, limit, error)) continue;
      const int on = 1;
      setsockopt(s.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      return s;
    }
    if (Clock::now() >= limit) {
      char seconds[32];
      std::snprintf(seconds, sizeof seconds, "%g", timeout);
      throw LostRank(show(at) + ": rank 0 did not answer within " + seconds + " s (" +
                     (why.empty() ? std::strerror(error) : why) +
                     "); it has to run on that machine, with that port open (--dist-url, --timeout)");
    }
    constexpr auto kAgain = std::chrono::milliseconds(100);
    std::this_thread::sleep_for(kAgain);
  }
}

}  // namespace moproc::comm
