// What an epoch's number decides: the program to run and the learning rate.
#pragma once

#include "command/options.h"

namespace moproc::train {

/// The three of MoPro, and plain supervised training, which has but one.
enum class Phase { warmup, proto, clean, train };

/// "warmup", "proto", "clean", "train": also the programs' names.
const char* phase_name(Phase phase);

/// Of MoPro: epoch 0 is warmup; from start_clean_epoch on (but not before 1) clean; proto between.
Phase phase_of(int epoch, int start_clean_epoch);

/// lr * 0.1 for each entry of the schedule reached; or, with cosine, lr / 2 (1 + cos(pi epoch / epochs)).
double learning_rate(const Options& options, int epoch);

}  // namespace moproc::train
