// What changes when a run continues a checkpoint: nobody should continue another run, or other settings, by mistake.
#pragma once

#include <cstdint>
#include <string>

#include "train/checkpoint.h"
#include "train/settings.h"

namespace moproc::train {

/// The run that continues a checkpoint, beside its settings.
struct Continuing {
  std::string task;         // "mopro" or "classifier"
  std::string data_digest;  // of the training list
  std::string plan_digest;
  std::string precision;              // "" for f32
  std::string dropout, decay_params;  // of the artefact; "" for none and the optimizer's own
  int64_t global_batch;
  int64_t groups;
  uint64_t seed;
};

/// The differences between the run that wrote a checkpoint and the one that continues it, for the user in one line; ""
/// if there are none. Learning rate, its schedule, momentum, weight decay, the
/// number of epochs and the precision may differ. Throws
/// InputError, naming `path`, each difference and the remedies, if anything else differs without
/// settings.accept_changes; and if data, batch or seed differ within an epoch, where the position has no meaning then.
std::string differences(const CheckpointInfo& info, const std::string& path, const RunSettings& settings,
                        const Continuing& run);

}  // namespace moproc::train
