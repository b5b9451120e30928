// What a training run is about to write, looked at before anything is compiled, read or computed.
#pragma once

#include <string>

#include "train/settings.h"

namespace moproc::train {

/// Throws InputError, naming path and remedy, if a file that the run would replace or add to is not moproc's own.
/// `from`: the checkpoint that a run of the same verb continues from, "" for none; names of earlier ones are not
/// written again.
void require_run_targets(const RunSettings& settings, const std::string& from);

/// The same for the file of --dump-step.
void require_dump_target(const Dump& dump);

/// The same for a file whose format has no room for a mark: `path` is moproc's if it has the SHA-256 that the
/// neighbouring file `by` names. It may be absent or empty, too.
void require_named(const std::string& path, const std::string& sha256, const std::string& by);

}  // namespace moproc::train
