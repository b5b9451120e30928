// The training binary's entry, without main(): artefacts and tests call it with their plan.
#pragma once

#include "core/plan.h"

/// Parses argv, trains or evaluates. Returns the exit status: 0, 1 (our fault, or a check that failed), 2
/// (bad input), 130 or 143 (training ended by SIGINT or SIGTERM). Errors are one line on stderr.
int moproc_train_main(int argc, char** argv, const moproc::Plan& plan);
