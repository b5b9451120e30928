#include "core/standard_output.h"

#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace moproc {
namespace {

/// Whether stdout is a pipe or a socket whose reader is gone.
bool reader_is_gone() {
  pollfd out{STDOUT_FILENO, POLLOUT, 0};
  return poll(&out, 1, 0) == 1 && (out.revents & (POLLERR | POLLHUP)) != 0;
}

std::atomic<int> first_failure{0};  // an errno

}  // namespace

void flush_output() {
  if (std::fflush(stdout) == 0) return;
  int none = 0;
  first_failure.compare_exchange_strong(none, errno);
}

std::string output_failure() {
  flush_output();
  const int why = first_failure;
  if (why == 0 && std::ferror(stdout) == 0) return "";
  if (why == EPIPE || reader_is_gone()) return "";
  return why != 0 ? std::strerror(why) : "could not be written completely";
}

int after_output(int status, const std::string& name) {
  const std::string why = output_failure();
  if (why.empty()) return status;
  std::fprintf(stderr, "%s: standard output: %s\n", name.c_str(), why.c_str());
  return status == 0 ? 1 : status;
}

}  // namespace moproc
