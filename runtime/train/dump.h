// --dump-step: writes all values of one step to a file, to find the first value in which two implementations differ.
#pragma once

#include <string>

#include "session/session.h"

namespace moproc::train {

/// Throws InputError unless the artefact keeps every value of a step (it was compiled with --keep-values).
void require_kept_values(const Plan& plan);

/// Writes every output of `program`, which must be the program that ran last, to FOLDER/step_00000N.safetensors in the
/// order of computation. Values have their names, gradients of values grad.NAME. Throws InputError if that fails.
void dump_values(const Session& session, int program, const std::string& folder, int64_t step);

/// "step_000003.safetensors": the name of a step's file, here and in the folder of --trace-state.
std::string step_file(int64_t step);

}  // namespace moproc::train
