// Flags of the verbs that train, with the checks that belong to them.
#pragma once

#include <string>

#include "command/flag.h"
#include "command/shared_flags.h"
#include "core/plan.h"
#include "train/settings.h"

namespace moproc::command {

/// --exp-dir, --epochs, --start-epoch, --steps, --seed, --evaluate.
void add_run_flags(FlagTable& table, train::RunSettings& run);
/// --lr, --schedule, --decay-rate, --warmup-epochs, --momentum, --wd, --optimizer and its numbers, --clip-norm.
void add_optimiser_flags(FlagTable& table, train::RunSettings& run);
/// --cos.
void add_cosine_flag(FlagTable& table, train::RunSettings& run);
/// --crop-min.
void add_crop_flag(FlagTable& table, train::Augmentation& augmentation);
/// The flags of checkpoints and logs: --save-every, --keep, --print-freq, ...
void add_saving_flags(FlagTable& table, train::RunSettings& run);

/// Throws InputError if the flags of the optimizer do not fit the plan, or its state does not fit the checkpoints.
void check_optimizer(const train::RunSettings& run, const Plan& plan);

/// The schedule as checkpoints and logs have it: "40 80", or "cosine".
std::string schedule_text(const train::Schedule& schedule);

/// Throws InputError if flags of the above contradict each other, or if a flag that a run needs is missing.
void check_run(const train::RunSettings& run);

}  // namespace moproc::command
