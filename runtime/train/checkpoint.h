// A checkpoint: one file with the whole state except derived state, and the run's position. Surprising: checkpoints of
// PyTorch can be read, too, although they say less about their run.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "data/class_table.h"
#include "formats/own_file.h"
#include "formats/safetensors.h"
#include "session/session.h"
#include "train/health.h"
#include "train/meters.h"
#include "train/settings.h"

namespace moproc::train {

/// The position of a run. `epoch` is the epoch to continue, and `step` is the number of its steps that are done.
struct Position {
  int epoch = 0;
  int64_t step = 0;
  int64_t samples = 0;  // images seen since the first step of the run
  int64_t steps = 0;    // of the whole run
  Meters meters;        // of the epoch that has begun
  Health health;        // of the epochs that have ended
  double best = -1;     // top-1 of the best epoch so far, in percent; -1 before the first evaluation
  int best_epoch = -1;  // -1: none, or not known
};

/// The metadata of a checkpoint.
struct CheckpointInfo {
  Position at;
  std::string run;  // the run's id; "" in files of older versions
  uint64_t seed = 0;
  int64_t global_batch = 0;
  std::string data_digest;  // of the training list; "synthetic" if there is none
  std::string plan_digest;
  std::map<std::string, std::string> settings;  // recorded values, by Recorded::key; set by load_checkpoint()
  std::string label_names;      // JSON of the run's class table (data/class_table.h); "": classes have numbers only
  HoldOut hold_out;             // of the run's training images
  std::string held_out_digest;  // of the list of images that are held out, if some are
  bool of_run = true;           // false: no run of ours wrote it; of the above only at.epoch may be known
  bool knows_epoch = true;
  std::vector<std::string> notes;  // for the user
};

/// "checkpoint_0003.safetensors" after epoch 3, "checkpoint_0003_000120.safetensors" after 120 steps of epoch 3.
/// `format` is the extension: safetensors or pth.tar.
std::string checkpoint_name(int epoch, std::optional<int64_t> step, const std::string& format = "safetensors");

struct FoundCheckpoint {
  std::string path;
  bool ends_epoch;  // false: written within one
  int64_t epoch;
};

/// The checkpoints of either format in a folder, recognised and sorted by their names, the latest first.
std::vector<FoundCheckpoint> checkpoints_in(const std::string& folder);
/// The link EXP-DIR/last.FORMAT to the newest checkpoint. require_last() throws InputError if something else has that
/// name; point_last_to() then does nothing, and also where links are not possible.
void require_last(const std::string& folder, const std::string& format);
void point_last_to(const std::string& checkpoint);
/// Whether a file with this name is a checkpoint of a run.
bool is_checkpoint_name(const std::string& name);
/// The mark of a checkpoint in this format, safetensors or pth.tar, that moproc wrote; and whether a file has it.
formats::Mark checkpoint_mark(const std::string& format);
bool is_own_checkpoint(const std::string& path);
/// Throws InputError, with the remedy, if a file that moproc did not write has the name of a checkpoint of this format
/// that a run in the folder would write. `from`: the checkpoint that the run continues; earlier names are not written
/// again.
void require_checkpoints(const std::string& folder, const std::string& format, const std::string& from);
/// Path of the newest checkpoint of a folder; "" if there is none.
std::string newest_checkpoint(const std::string& folder);
/// Path of the newest complete checkpoint: reads one after the other, newest first, until a digest matches. Adds a note
/// for each file that it passes over.
std::string newest_whole_checkpoint(const std::string& folder, std::vector<std::string>& notes);

/// A copy of the state for a checkpoint, in host memory and logical order, so that it can be written while the run goes
/// on.
struct Snapshot {
  const Plan* plan = nullptr;
  formats::Metadata metadata;
  std::vector<int> tensors;  // of the plan
  std::vector<std::vector<std::byte>> bytes;
  bool published = false;  // written in PyTorch's format
};

/// Copies the state into `to`, reusing its memory. `format`: safetensors or pth.tar.
void take_snapshot(const Session& session, const CheckpointInfo& info, const RunRecord& record,
                   const std::string& format, Snapshot& to);
/// "queue holds a NaN or infinity", with the name of the first such tensor; "" if all values are finite.
std::string first_nonfinite(const Snapshot& s);
/// Writes the snapshot. Even if the disk is full or the process crashes, the file is either complete or not replaced.
/// Throws InputError naming the file.
void write_snapshot(const Snapshot& s, const std::string& path);

/// Writes all state of a session under the plan's names and shapes; `format`: safetensors or pth.tar. Throws InputError
/// naming the file.
void save_checkpoint(const std::string& path, const Session& session, const CheckpointInfo& info,
                     const RunRecord& record, const std::string& format = "safetensors");

/// What a checkpoint of ours says about the data of its run.
struct DataOfRun {
  data::ClassTable classes;  // empty if it has none
  HoldOut hold_out;
  std::string held_out_digest;  // CheckpointInfo::held_out_digest
  std::map<std::string, std::string> metadata;
};

/// Reads no tensors of a safetensors file. Throws InputError naming the file.
DataOfRun data_of_run(const std::string& path);

/// The name of the optimizer that the plan's steps have: sgd, adamw or lars.
std::string optimizer_of(const Plan& plan);

/// What the state of a checkpoint's optimizer is for.
enum class Optimizer {
  needed,  // training continues with it
  reset,   // training continues with zero momentum
  unused,  // nothing is trained
};

/// Reads a checkpoint, ours or another program's (formats/foreign_network.h), into the session. Checks everything
/// (names, types, shapes, sha256, metadata) before it sets the first tensor. If another program's file has no
/// optimizer, or no BatchNorm counters, momenta and counters become zero, and `notes` says so. Throws InputError,
/// naming the file and the tensor or field; also if the optimizer is needed and is of another kind or incomplete.
CheckpointInfo load_checkpoint(const std::string& path, Session& session, Optimizer optimizer = Optimizer::needed);

}  // namespace moproc::train
