// A network that another program wrote as ONNX. Beside the binary that trains it lie the values to begin with, and the
// model itself, which verbs read that use the checkpoints of the run.
#pragma once

#include <string>

#include "session/session.h"

namespace moproc::train {

/// The path of a file in the folder of the binary that runs; "" if it has no such file.
std::string beside_binary(const std::string& name);

/// Sets the state from the seed and, if the artefact's network is another program's, from its values. Throws
/// InputError if their file is missing or does not fit.
void begin_state(Session& session, uint64_t seed);

/// Copies the artefact's model, if it has one, into the folder of a run. Throws InputError if a file that moproc did
/// not write has its name.
void keep_network(const Plan& plan, const std::string& exp_dir);

}  // namespace moproc::train
