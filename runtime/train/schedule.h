// What the number of the epoch decides: the program to run and the learning rate.
#pragma once

#include "train/settings.h"

namespace moproc::train {

/// The three phases of MoPro, and plain supervised training, which has one.
enum class Phase { warmup, proto, clean, train };

/// "warmup", "proto", "clean", "train": also the names of the programs.
const char* phase_name(Phase phase);

/// Of MoPro: epoch 0 is warmup; epochs from start_clean_epoch on (but not epoch 0) are clean; those between are proto.
Phase phase_of(int epoch, int start_clean_epoch);

/// lr * decay_rate for each milestone reached; or, with cosine, lr / 2 (1 + cos(pi epoch / epochs)).
double learning_rate(double lr, const Schedule& schedule, int epoch);

}  // namespace moproc::train
