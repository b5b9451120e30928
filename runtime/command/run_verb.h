// `run`, the verb of artefacts that no training verb can run, is not in the table of verbs: such an artefact has only
// this one, and its binary is called like it.
#pragma once

#include "command/verbs.h"
#include "core/plan.h"

namespace moproc::command {

/// The record of `run`.
Verb run_verb();

/// Whether the verbs of verbs.h can run the artefact. If not, its binary is `run` and has only this verb
/// (compiler/emit/project.ts names the binary by the same rule).
bool has_training_verbs(const Plan& plan);

/// The verb `run` with the flags of a command line, whose first argument, unless it is a flag, names the program.
Request run_request(int argc, const char* const* argv);

}  // namespace moproc::command
