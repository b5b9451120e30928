// A checkpoint: the whole state but what can be derived, and where the run was, in one safetensors file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/session.h"
#include "train/meters.h"
#include "train/options.h"

namespace moproc::train {

/// Where a run is. `epoch` is the one to continue, `step` how many of its steps are done.
struct Position {
  int epoch = 0;
  int64_t step = 0;
  int64_t samples = 0;  // images seen since the first step, in all
  Meters meters;        // of the epoch begun
};

/// What a checkpoint says about itself besides the tensors.
struct CheckpointInfo {
  Position at;
  uint64_t seed = 0;
  int64_t global_batch = 0;
  std::string data_digest;  // of the training list; "synthetic" without one
  std::string plan_digest;
};

/// "checkpoint_0003.safetensors" after epoch 3, "checkpoint_0003_000120.safetensors" after 120 steps of it.
std::string checkpoint_name(int epoch, std::optional<int64_t> step);

/// Path of the newest checkpoint in a folder, "" when there is none.
std::string newest_checkpoint(const std::string& folder);

/// Writes all state of a session under the plan's names, shapes and order; safe against full disks and
/// crashes: the file is complete or not there. Throws InputError naming the file.
void save_checkpoint(const std::string& path, const Session& session, const CheckpointInfo& info,
                     const Options& options);

/// Reads one back. Everything (names, types, shapes, sha256, metadata) is checked before the first tensor is
/// set. Throws InputError naming file and tensor or field.
CheckpointInfo load_checkpoint(const std::string& path, Session& session);

}  // namespace moproc::train
