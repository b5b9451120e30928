// How many cores this process may use: those of its affinity mask, limited by the CPU quota of its control group.
#pragma once

namespace moproc {

/// At least 1; the quota is rounded up. In a container with a quota of 150 % on 64 cores this is 2.
int usable_cores();

/// The cores for each of `ranks` processes on this machine, at least 1. `bound`: each has been given cores of its own
/// (bind_to), and they share the quota alone.
int cores_of_rank(int ranks, bool bound);

/// The same for a process that may use `cores` cores, in a group with a quota of so many; 0: without one.
int cores_of_rank(int cores, double quota, int ranks, bool bound);

}  // namespace moproc
