// Checks the files that a training run is about to write, before anything is compiled, read or computed.
#pragma once

#include <string>

#include "train/settings.h"

namespace moproc::train {

/// Throws InputError, naming path and remedy, if the run would replace or add to a file that is not moproc's own.
/// `from`: the checkpoint that a run of the same verb continues from, "" for none; names of earlier ones are not
/// written again.
void require_run_targets(const RunSettings& settings, const std::string& from);

/// The same for the file of --dump-step.
void require_dump_target(const Dump& dump);

/// The same for a file whose format has no room for a mark: `path` must be absent, empty, or have the SHA-256 `sha256`.
/// `by`: the file that states this digest, for the message.
void require_named(const std::string& path, const std::string& sha256, const std::string& by);

}  // namespace moproc::train
