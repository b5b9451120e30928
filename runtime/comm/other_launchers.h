// Launchers besides the one that is believed: they must not contradict it, and an unknown one is not taken for none.
#pragma once

#include "comm/launch.h"

namespace moproc::comm {

/// Throws InputError if another launcher says that there are other processes. One may have started the other: then the
/// believed one, `l`, has several processes for each of the other's.
void refuse_contradiction(const Environment& environment, const Launch& l);

/// Throws InputError if a launcher whose variables are not read seems to have started this process as one of several.
void refuse_unknown(const Environment& environment);

}  // namespace moproc::comm
