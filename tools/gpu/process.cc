#include "process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <system_error>
#include <thread>

namespace moproc::tools {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr size_t kKept = 64 << 10;
constexpr milliseconds kLook{50}, kPatience{2000}, kGiveUp{10000};

[[noreturn]] void become(const std::vector<std::string>& command, int out) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // nothing is left if this program is killed
  dup2(out, STDOUT_FILENO);
  dup2(out, STDERR_FILENO);
  std::vector<char*> words;
  for (const std::string& w : command) words.push_back(const_cast<char*>(w.c_str()));
  words.push_back(nullptr);
  execvp(words[0], words.data());
  std::perror(words[0]);
  _exit(127);
}

/// Reads what there is; returns false at the end.
bool drain(int from, std::string& output, bool echo) {
  char bytes[4096];
  for (;;) {
    const ssize_t n = read(from, bytes, sizeof bytes);
    if (n == 0) return false;
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    if (echo) std::fwrite(bytes, 1, static_cast<size_t>(n), stdout), std::fflush(stdout);
    output.append(bytes, static_cast<size_t>(n));
    if (output.size() > kKept) output.erase(0, output.size() - kKept);
  }
}

bool ended(pid_t child, int& status) { return waitpid(child, &status, WNOHANG) == child; }

/// Ends the group; returns whether its leader is gone.
bool end_group(pid_t child, int& status) {
  for (const auto& [signal, patience] : {std::pair(SIGTERM, kPatience), std::pair(SIGKILL, kGiveUp)}) {
    kill(-child, signal);
    for (const auto until = Clock::now() + patience; Clock::now() < until; std::this_thread::sleep_for(kLook))
      if (ended(child, status)) {
        kill(-child, SIGKILL);  // what the leader started
        return true;
      }
  }
  return false;
}

}  // namespace

Ended run_limited(const std::vector<std::string>& command, int limit_s, bool echo) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  const auto begin = Clock::now();
  const pid_t child = fork();
  if (child < 0) throw std::system_error(errno, std::generic_category(), "fork");
  if (child == 0) become(command, ends[1]);
  close(ends[1]);
  Ended result;
  int status = 0;
  bool open = true;
  const auto limit = begin + std::chrono::seconds(limit_s);
  bool done = false;
  while (!(done = ended(child, status)) && Clock::now() < limit) {
    pollfd p{open ? ends[0] : -1, POLLIN, 0};
    poll(&p, 1, static_cast<int>(kLook.count()));
    if (open) open = drain(ends[0], result.output, echo);
  }
  if (!done) result.gone = end_group(child, status);
  if (open) drain(ends[0], result.output, echo);
  close(ends[0]);
  result.status = !done ? kHang : WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  result.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  return result;
}

std::string last_line(const std::string& text) {
  size_t end = text.size();
  while (end > 0 && (text[end - 1] == '\n' || text[end - 1] == ' ')) --end;
  const std::string all = text.substr(0, end);
  const size_t begin = all.rfind('\n');
  return begin == std::string::npos ? all : all.substr(begin + 1);
}

}  // namespace moproc::tools
