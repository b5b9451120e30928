// The entry of the training binary without main(), so that artefacts and tests can call it with their plan.
#pragma once

#include "core/plan.h"

/// Parses argv and runs the verb. Returns the exit status: 0; 1 (a fault of ours, or a check that failed); 2 (bad input
/// or too little memory); 3, 4, 69 or 75 (kDiverged, kCollapsed, kLost, kStopped in train/supervisor.h); or 128 + the
/// number of the signal that ended it. Prints one line on stderr for an error.
int moproc_train_main(int argc, char** argv, const moproc::Plan& plan);
