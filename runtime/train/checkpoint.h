// A checkpoint: the whole state but what can be derived, and where the run was, in one file. Surprising:
// besides what runs write, checkpoints of PyTorch are read, which know less about their run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "formats/own_file.h"
#include "formats/safetensors.h"
#include "session/session.h"
#include "train/meters.h"
#include "train/settings.h"

namespace moproc::train {

/// Where a run is. `epoch` is the one to continue, `step` how many of its steps are done.
struct Position {
  int epoch = 0;
  int64_t step = 0;
  int64_t samples = 0;  // images seen since the first step, in all
  Meters meters;        // of the epoch begun
  double best = -1;     // top-1 of the best epoch so far, percent; -1 before one was evaluated
};

/// What a checkpoint says about itself besides the tensors.
struct CheckpointInfo {
  Position at;
  uint64_t seed = 0;
  int64_t global_batch = 0;
  std::string data_digest;  // of the training list; "synthetic" without one
  std::string plan_digest;
  bool of_run = true;  // false: from elsewhere; of the above only at.epoch may be known
  bool knows_epoch = true;
  std::vector<std::string> notes;  // what the user should know about the file
};

/// "checkpoint_0003.safetensors" after epoch 3, "checkpoint_0003_000120.safetensors" after 120 steps of it;
/// `format` is what follows the dot: safetensors or pth.tar.
std::string checkpoint_name(int epoch, std::optional<int64_t> step, const std::string& format = "safetensors");

struct FoundCheckpoint {
  std::string path;
  bool ends_epoch;  // false: written within one
};

/// The checkpoints of either format in a folder, by their names, the one of the latest step first.
std::vector<FoundCheckpoint> checkpoints_in(const std::string& folder);
/// Whether a run gives a checkpoint this name.
bool is_checkpoint_name(const std::string& name);
/// How a checkpoint of a format, safetensors or pth.tar, is recognised as written by moproc; whether this one is.
formats::Mark checkpoint_mark(const std::string& format);
bool is_own_checkpoint(const std::string& path);
/// Throws InputError, with the remedy, where a file that moproc did not write has the name of a checkpoint of this
/// format that a run in the folder would write. `from`: the checkpoint that it goes on with; earlier names are not
/// written again.
void require_checkpoints(const std::string& folder, const std::string& format, const std::string& from);
/// Path of the newest checkpoint of a folder, "" when there is none.
std::string newest_checkpoint(const std::string& folder);
/// The same of those that are whole: each is read and its digest compared until one fits. `notes` says what was passed
/// over.
std::string newest_whole_checkpoint(const std::string& folder, std::vector<std::string>& notes);

/// All state that a checkpoint holds, at one moment, in host memory and logical order: what is written while the run
/// goes on.
struct Snapshot {
  const Plan* plan = nullptr;
  formats::Metadata metadata;
  std::vector<int> tensors;  // of the plan
  std::vector<std::vector<std::byte>> bytes;
  bool published = false;  // to be written in PyTorch's format
};

/// Copies the state into `to`, whose memory is used again. `format`: safetensors or pth.tar.
void take_snapshot(const Session& session, const CheckpointInfo& info, const RunRecord& record,
                   const std::string& format, Snapshot& to);
/// "queue holds a NaN or infinity" of the first tensor that does; "" when all is finite.
std::string first_nonfinite(const Snapshot& s);
/// Writes it; safe against full disks and crashes: the file is complete or not there. Throws InputError naming the
/// file.
void write_snapshot(const Snapshot& s, const std::string& path);

/// Writes all state of a session under the plan's names and shapes; `format`: safetensors or pth.tar. Throws InputError
/// naming the file.
void save_checkpoint(const std::string& path, const Session& session, const CheckpointInfo& info,
                     const RunRecord& record, const std::string& format = "safetensors");

/// Reads one back, or one of PyTorch. Everything (names, types, shapes, sha256, metadata) is checked before
/// the first tensor is set. Momentum and BatchNorm's counters that a file from elsewhere lacks become zero;
/// `notes` says so. Throws InputError naming file and tensor or field.
CheckpointInfo load_checkpoint(const std::string& path, Session& session);

}  // namespace moproc::train
