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

/// The learning rate of step `step` of an epoch of `steps`, both counted from 0. It is
///   lr * decay_rate for each milestone reached; or, with cosine, lr / 2 (1 + cos(pi epoch / epochs));
/// and in the first warmup_epochs = N epochs this times (epoch * steps + step + 1) / (N * steps), so that it rises
/// linearly from lr / (N * steps) to the whole rate at the last step of the warm-up.
double learning_rate(double lr, const Schedule& schedule, int epoch, int64_t step, int64_t steps);

}  // namespace moproc::train
