#include "cpu/numa.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "core/error.h"

namespace moproc {
namespace {

namespace fs = std::filesystem;

constexpr int kBind = 2;          // MPOL_BIND of set_mempolicy(2)
constexpr int kMostNodes = 1024;  // of the kernel

/// The number behind "node" in a folder's name; -1 for other names.
int number_of(const std::string& name) {
  if (!name.starts_with("node")) return -1;
  int n = -1;
  const auto [end, error] = std::from_chars(name.data() + 4, name.data() + name.size(), n);
  return error == std::errc() && end == name.data() + name.size() ? n : -1;
}

cpu_set_t own_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) CPU_SET(0, &set);
  return set;
}

}  // namespace

std::vector<int> cpu_list(const std::string& text) {
  std::vector<int> cpus;
  const char *at = text.data(), *const end = at + text.size();
  const auto number = [&] {
    int n = 0;
    const auto [next, error] = std::from_chars(at, end, n);
    if (error != std::errc() || n < 0) throw InputError("\"" + text + "\" is not a list of CPUs");
    at = next;
    return n;
  };
  while (at != end) {
    const int first = number();
    int last = first;
    if (at != end && *at == '-') ++at, last = number();
    if (last < first || last >= CPU_SETSIZE) throw InputError("\"" + text + "\" is not a list of CPUs");
    for (int c = first; c <= last; ++c) cpus.push_back(c);
    if (at != end && (*at++ != ',' || at == end)) throw InputError("\"" + text + "\" is not a list of CPUs");
  }
  return cpus;
}

std::vector<NumaNode> numa_nodes() {
  const char* const other = std::getenv("MOPROC_NUMA_NODES");
  const fs::path root = other && *other ? other : "/sys/devices/system/node";
  const cpu_set_t own = own_cpus();
  std::vector<NumaNode> nodes;
  std::error_code none;
  for (const fs::directory_entry& e : fs::directory_iterator(root, none)) {
    NumaNode node{number_of(e.path().filename().string()), {}};
    std::ifstream file(e.path() / "cpulist");
    std::string line;
    if (node.number < 0 || !std::getline(file, line)) continue;
    for (const int c : cpu_list(line))
      if (CPU_ISSET(static_cast<size_t>(c), &own)) node.cpus.push_back(c);
    if (!node.cpus.empty()) nodes.push_back(std::move(node));
  }
  std::ranges::sort(nodes, {}, &NumaNode::number);
  if (!nodes.empty()) return nodes;
  nodes.emplace_back();
  for (int c = 0; c < CPU_SETSIZE; ++c)
    if (CPU_ISSET(static_cast<size_t>(c), &own)) nodes[0].cpus.push_back(c);
  return nodes;
}

std::string bind_to(const NumaNode& node) {
  const std::string name = "memory node " + std::to_string(node.number);
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int c : node.cpus) CPU_SET(static_cast<size_t>(c), &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0)
    return "a rank is not kept on the cores of " + name + ": " + std::strerror(errno);
  unsigned long mask[kMostNodes / (8 * sizeof(unsigned long))] = {};
  constexpr int kBits = 8 * sizeof mask[0];
  if (node.number < kMostNodes) mask[node.number / kBits] |= 1ul << node.number % kBits;
  if (syscall(SYS_set_mempolicy, kBind, mask, static_cast<unsigned long>(kMostNodes)) == 0) return "";
  return "a rank's memory is not kept on " + name + ": " + std::strerror(errno) +
         (errno == EPERM ? " (in Docker it needs --cap-add SYS_NICE)" : "") +
         "; the system gives it what is near its cores";
}

}  // namespace moproc
