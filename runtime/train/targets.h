// What a command is about to write, looked at before anything is compiled, read or computed.
#pragma once

#include <string>

#include "train/options.h"

namespace moproc::train {

/// Throws InputError, naming path and remedy, where a file or folder that the command would replace or add to is none
/// of moproc's.
void require_targets(const Options& options);

/// The same for EXP-DIR/subset.txt, which EXP-DIR/subset.sha256 has to name.
void require_subset(const std::string& folder);

}  // namespace moproc::train
