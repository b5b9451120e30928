// The launcher sets a variable for its ranks only, so it is the first process above this one without that variable.
// Whether it is still there is looked up twice a second: the signal that Linux sends when a parent ends
// (PR_SET_PDEATHSIG) does not come from a parent's parent, and also comes when only the parent's thread ends.
#include "train/launcher_watch.h"

#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <mutex>
#include <optional>
#include <sstream>
#include <utility>

#include "train/interrupt.h"

namespace moproc::train {
namespace {

constexpr auto kLookEvery = std::chrono::milliseconds(500);

std::string read_proc(pid_t pid, const char* name) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct Process {
  pid_t pid = 0, parent = 0;
  std::string begun;  // when it was started: another process may get its number later
};

/// Nothing if there is no such process, or if it has ended and its own parent has not noticed yet.
std::optional<Process> process_of(pid_t pid) {
  const std::string stat = read_proc(pid, "stat");
  const size_t name_end = stat.rfind(')');  // a name may contain spaces
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(stat.substr(name_end + 1));
  Process p{pid};
  std::string state, skipped;
  fields >> state >> p.parent;
  for (int field = 5; field < 22; ++field) fields >> skipped;  // proc(5) counts the fields from 1
  fields >> p.begun;
  if (!fields || state == "Z" || state == "X") return std::nullopt;
  return p;
}

/// The variable that only the launcher's ranks have; "" if the launcher is not one that is watched.
std::string mark_of(const comm::Launch& launch) {
  if (launch.by == "torchrun") return "TORCHELASTIC_RUN_ID";  // RANK alone may be set by hand
  if (launch.by == "Open MPI") return "OMPI_COMM_WORLD_RANK";
  if (launch.by == "MPICH or Intel MPI") return "PMI_RANK";
  if (launch.by == "Slurm") return "SLURM_PROCID";
  return "";
}

bool has_variable(pid_t pid, const std::string& name) {
  return (std::string(1, '\0') + read_proc(pid, "environ")).find('\0' + name + "=") != std::string::npos;
}

std::optional<Process> launcher_of(const comm::Launch& launch) {
  const std::string mark = mark_of(launch);
  if (mark.empty() || !has_variable(getpid(), mark)) return std::nullopt;
  std::optional<Process> p = process_of(getppid());
  while (p && p->pid > 1 && has_variable(p->pid, mark)) p = process_of(p->parent);
  return p;
}

bool runs(const Process& p) {
  const std::optional<Process> now = process_of(p.pid);
  return now && now->begun == p.begun;
}

}  // namespace

LauncherWatch::LauncherWatch(const comm::Launch& launch, std::string verb) {
  const std::optional<Process> launcher = launcher_of(launch);
  if (!launcher) return;
  thread_ = std::jthread(
      [launcher = *launcher, by = launch.by, rank = launch.rank, verb = std::move(verb)](const std::stop_token& stop) {
        std::mutex mutex;
        std::condition_variable_any wake;
        std::unique_lock lock(mutex);
        while (!wake.wait_for(lock, stop, kLookEvery, [] { return false; }) && !stop.stop_requested()) {
          if (runs(launcher)) continue;
          std::fprintf(stderr, "%s: rank %d: its launcher (%s, process %d) has ended\n", verb.c_str(), rank, by.c_str(),
                       static_cast<int>(launcher.pid));
          return request_stop(SIGTERM);
        }
      });
}

}  // namespace moproc::train
