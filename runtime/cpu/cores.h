// How many cores this process may use: those of its affinity mask, limited by the CPU quota of its control group.
#pragma once

namespace moproc {

/// At least 1; the quota is rounded up. In a container with a quota of 150 % on 64 cores this is 2.
int usable_cores();

}  // namespace moproc
