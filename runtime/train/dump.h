// --dump-step: all values of one step in a file, to find the first that two implementations disagree about.
#pragma once

#include <string>

#include "session/session.h"

namespace moproc::train {

/// Throws InputError unless the artefact keeps every value of a step (compiled with --keep-values).
void require_kept_values(const Plan& plan);

/// Writes every output of the program that ran last to FOLDER/step_00000N.safetensors, in the order in which
/// the program computes them: values under their names, gradients of values as grad.NAME. Throws InputError.
void dump_values(const Session& session, int program, const std::string& folder, int64_t step);

/// "step_000003.safetensors": a step's file, also in the folder of --trace-state.
std::string step_file(int64_t step);

}  // namespace moproc::train
