// Reads sched_getaffinity and the CPU quotas of control groups: version 2 (cpu.max of every ancestor) and version 1.
#include "cpu/cores.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string>

namespace moproc {
namespace {

int affinity_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

/// Number of cores that "quota period" of a cpu.max file grants; 0 if there is no limit.
double quota_v2(const std::string& path) {
  std::ifstream file(path);
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return 0;
  return std::strtod(quota.c_str(), nullptr) / period;
}

double quota_v1(const std::string& dir) {
  std::ifstream quota_file(dir + "/cpu.cfs_quota_us"), period_file(dir + "/cpu.cfs_period_us");
  double quota = 0, period = 0;
  if (!(quota_file >> quota) || !(period_file >> period) || quota <= 0 || period <= 0) return 0;
  return quota / period;
}

/// The smallest limit of `read(root + path)` over the group and its ancestors; 0 if there is none.
template <class Read>
double smallest(const std::string& root, std::string path, Read read) {
  double least = 0;
  for (;;) {
    const double q = read(root + (path == "/" ? "" : path));
    if (q > 0 && (least == 0 || q < least)) least = q;
    if (path.empty() || path == "/") return least;
    path.resize(path.rfind('/'));
  }
}

bool lists_cpu(const std::string& controllers) {
  std::istringstream in(controllers);
  for (std::string name; std::getline(in, name, ',');)
    if (name == "cpu") return true;
  return false;
}

double group_quota() {
  std::ifstream file("/proc/self/cgroup");
  double least = 0;
  const auto take = [&](double q) {
    if (q > 0 && (least == 0 || q < least)) least = q;
  };
  for (std::string line; std::getline(file, line);) {  // "id:controllers:path"
    const size_t a = line.find(':'), b = line.find(':', a + 1);
    if (a == std::string::npos || b == std::string::npos) continue;
    const std::string controllers = line.substr(a + 1, b - a - 1), path = line.substr(b + 1);
    if (controllers.empty())
      take(smallest("/sys/fs/cgroup", path, [](const std::string& d) { return quota_v2(d + "/cpu.max"); }));
    else if (lists_cpu(controllers))
      take(smallest("/sys/fs/cgroup/cpu", path, [](const std::string& d) { return quota_v1(d); }));
  }
  return least;
}

}  // namespace

int cores_of_rank(int cores, double quota, int ranks, bool bound) {
  const int usable = quota > 0 ? std::clamp(static_cast<int>(std::ceil(quota)), 1, cores) : cores;
  if (!bound) return std::max(1, usable / ranks);
  return quota > 0 ? std::clamp(static_cast<int>(quota / ranks), 1, cores) : cores;
}

int cores_of_rank(int ranks, bool bound) { return cores_of_rank(affinity_cores(), group_quota(), ranks, bound); }

int usable_cores() { return cores_of_rank(1, false); }

}  // namespace moproc
