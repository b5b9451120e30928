// The program and the learning rate of an epoch.
#pragma once

#include "train/settings.h"

namespace moproc::train {

/// The three phases of MoPro, and plain supervised training, which has one.
enum class Phase { warmup, proto, clean, train };

/// "warmup", "proto", "clean", "train". The programs have the same names.
const char* phase_name(Phase phase);

/// MoPro's phase: epoch 0 is warmup, later epochs are clean from start_clean_epoch on, and proto before it.
Phase phase_of(int epoch, int start_clean_epoch);

/// The learning rate of step `step` of an epoch of `steps`, both counted from 0. It is
///   lr * decay_rate for each milestone reached; or, with cosine, lr / 2 (1 + cos(pi epoch / epochs)).
/// In the first warmup_epochs = N epochs, it is multiplied by (epoch * steps + step + 1) / (N * steps), which rises
/// linearly from 1 / (N * steps) to 1 at the last step of the warm-up.
double learning_rate(double lr, const Schedule& schedule, int epoch, int64_t step, int64_t steps);

}  // namespace moproc::train
