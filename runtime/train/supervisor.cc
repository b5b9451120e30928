// fork, exec, wait. If a rank fails, the others notice, report it and end. Those that do not end within the time-out
// are killed.
#include "train/supervisor.h"

#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "core/error.h"
#include "cpu/numa.h"
#include "train/checkpoint.h"
#include "train/interrupt.h"

extern char** environ;

namespace moproc::train {
namespace {

constexpr const char* kRestarted = "MOPROC_RESTARTED";

struct Child {
  int rank = 0;
  pid_t pid = -1;
  bool ended = false;
  int status = 0;  // as in a shell: 128 + the number of a signal
};

std::atomic<int> signalled{0};  // still to be passed on
std::atomic<bool> stopping{false};

/// Catches signals for the run. run_once() passes them on.
class Signals {
 public:
  Signals() {
    signalled = 0;
    stopping = false;
    struct sigaction action{};
    action.sa_handler = [](int number) { signalled = number, stopping = true; };
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < kStopSignalCount; ++i) {
      sigaction(kStopSignals[i], &action, &before_[i]);
      if (kStopSignals[i] == SIGHUP && before_[i].sa_handler == SIG_IGN) sigaction(SIGHUP, &before_[i], nullptr);
    }
  }
  ~Signals() {
    for (size_t i = 0; i < kStopSignalCount; ++i) sigaction(kStopSignals[i], &before_[i], nullptr);
  }

 private:
  struct sigaction before_[kStopSignalCount];
};

/// A free port of this machine.
int free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  socklen_t size = sizeof address;
  const bool ok = fd >= 0 && bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  if (fd >= 0) close(fd);
  if (!ok) throw InputError(std::string("no free port on this machine: ") + std::strerror(errno));
  return ntohs(address.sin_port);
}

/// `node`: where the rank has to stay; null for anywhere.
Child start(comm::Launch launch, int local, const NumaNode* node, bool again, char** argv) {
  launch.local_rank = local;
  launch.rank += local;
  std::vector<std::string> texts =
      launch.ranks > 1 ? comm::variables_of(launch) : std::vector<std::string>{"MOPROC_LAUNCHED=1"};
  if (again) texts.push_back(std::string(kRestarted) + "=1");
  std::vector<char*> environment;
  for (char** e = environ; *e; ++e) {
    const std::string_view name(*e, std::strcspn(*e, "="));
    bool replaced = false;
    for (const std::string& t : texts) replaced |= t.starts_with(std::string(name) + "=");
    if (!replaced) environment.push_back(*e);
  }
  for (std::string& t : texts) environment.push_back(t.data());
  environment.push_back(nullptr);
  const pid_t parent = getpid(), pid = fork();
  if (pid < 0) throw InputError(std::string("cannot start a process: ") + std::strerror(errno));
  if (pid > 0) return {launch.rank, pid};
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // a rank is killed if the process that started it ends
  if (getppid() != parent) _exit(127);
  if (node)
    if (const std::string note = bind_to(*node); !note.empty()) std::fprintf(stderr, "note: %s\n", note.c_str());
  execve("/proc/self/exe", argv, environment.data());
  _exit(127);
}

/// Collects the status of ranks that have ended; true if there was one.
bool collect(std::vector<Child>& children, const std::string& verb) {
  bool any = false;
  for (Child& c : children) {
    int status = 0;
    if (c.ended || waitpid(c.pid, &status, WNOHANG) != c.pid) continue;
    c.ended = any = true;
    c.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    if (c.status != 0 && c.status != kStopped && c.status != kLost && c.status != kDiverged && c.status != kCollapsed &&
        c.status != 2)
      std::fprintf(stderr, "%s: rank %d ended with status %d%s\n", verb.c_str(), c.rank, c.status,
                   WIFSIGNALED(status) ? (std::string(", by ") + strsignal(WTERMSIG(status))).c_str() : "");
  }
  return any;
}

/// Starts all ranks and waits until all have ended.
std::vector<Child> run_once(const comm::LaunchPlan& plan, const Supervision& how, bool again, char** argv) {
  using Clock = std::chrono::steady_clock;
  comm::LaunchPlan now = plan;
  if (plan.launch.ranks > 1 && plan.launch.master.port == 0) now.launch.master.port = free_port();
  std::vector<Child> children;
  const std::vector<NumaNode> nodes = now.launch.by_node ? numa_nodes() : std::vector<NumaNode>();
  for (int i = 0; i < now.to_start; ++i) {
    const NumaNode* const node = static_cast<size_t>(i) < nodes.size() ? &nodes[static_cast<size_t>(i)] : nullptr;
    children.push_back(start(now.launch, i, node, again, argv));
  }
  Clock::time_point failed{};
  for (size_t left = children.size(); left > 0;) {
    if (const int number = signalled.exchange(0))
      for (const Child& c : children)
        if (!c.ended) kill(c.pid, number);
    collect(children, how.verb);
    left = 0;
    for (const Child& c : children) {
      left += c.ended ? 0 : 1;
      if (c.ended && c.status != 0 && failed == Clock::time_point{}) failed = Clock::now();
    }
    constexpr double kGrace = 2;  // seconds, so that ranks can report which rank they lost
    if (failed != Clock::time_point{} &&
        std::chrono::duration<double>(Clock::now() - failed).count() > how.timeout + kGrace)
      for (const Child& c : children)
        if (!c.ended) kill(c.pid, SIGKILL);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return children;
}

/// The run's status from those of its ranks. The status of a rank that failed says more than kLost, the status of those
/// that lost it.
int outcome(const std::vector<Child>& children) {
  int result = 0;
  const auto weight = [](int status) {
    return status == 0 ? 0 : status == kStopped ? 1 : status == kLost ? 2 : status == 2 ? 4 : 3;
  };
  for (const Child& c : children)
    if (weight(c.status) > weight(result)) result = c.status;
  return result;
}

}  // namespace

bool is_restarted() { return std::getenv(kRestarted) != nullptr; }

int supervise(const comm::LaunchPlan& plan, const Supervision& how, char** argv) {
  const Signals signals;
  for (int attempt = 0;; ++attempt) {
    const int result = outcome(run_once(plan, how, attempt > 0, argv));
    if (result == 0 || result == kStopped || result == 2 || result == kDiverged || result == kCollapsed || stopping ||
        attempt == how.max_restarts)
      return result;
    const std::string from = how.exp_dir.empty() ? "" : newest_checkpoint(how.exp_dir);
    std::fprintf(stderr, "%s: restart %d of %d, %s\n", how.verb.c_str(), attempt + 1, how.max_restarts,
                 from.empty() ? "from the beginning: there is no checkpoint" : ("from " + from).c_str());
  }
}

}  // namespace moproc::train
