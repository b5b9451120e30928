// The memory nodes of a machine (NUMA): a core reaches the memory of its own node fastest, so each rank of
// --nproc-per-node auto has a node of its own.
#pragma once

#include <string>
#include <vector>

namespace moproc {

struct NumaNode {
  int number = 0;
  std::vector<int> cpus;  // those that this process may use
};

/// The nodes that have cores which this process may use, by number. If the system names none, one with all of them.
/// Another folder in the place of /sys/devices/system/node may be named by $MOPROC_NUMA_NODES, for tests.
std::vector<NumaNode> numa_nodes();

/// Keeps this process, and what it starts, on the node's cores and in its memory. Returns what is not possible, and how
/// it can be, as text; "" if all is.
std::string bind_to(const NumaNode& node);

/// The numbers of a list of CPUs, "0-3,8,10-11"; throws InputError for any other text.
std::vector<int> cpu_list(const std::string& text);

}  // namespace moproc
