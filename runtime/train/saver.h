// Checkpoints in the background: the state is copied between two steps, then written while the run goes on. A write
// that fails (a full disk) is announced and tried again; only at the end of the run is it an error.
#pragma once

#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "log/console.h"
#include "log/jsonl.h"
#include "session/session.h"
#include "train/checkpoint.h"
#include "train/settings.h"

namespace moproc::train {

/// The state holds a NaN or infinity, or too many steps in a row came to nothing: going on is pointless. No file was
/// replaced.
class Diverged : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Not thread safe: one caller, the trainer.
class Saver {
 public:
  /// All arguments must outlive the saver. Removes the unfinished files that an earlier, killed run has left in
  /// saving.exp_dir.
  Saver(const Session& session, const Saving& saving, const RunRecord& record, Console& console, RunLog& log);
  ~Saver();
  Saver(const Saver&) = delete;
  Saver& operator=(const Saver&) = delete;

  /// Whether a checkpoint within an epoch is due after `step` steps of it: by --save-every, or because the last one
  /// failed. By time it is due only when no older one is being written, by steps always, so that the files' names do
  /// not depend on the disk.
  bool due(int64_t step);
  /// Whether --save-every, as a time, has passed.
  bool is_time() const;
  /// Copies the state, waiting only for an older write, and has it written to all `paths` in order. The last is the
  /// checkpoint.
  void begin(std::vector<std::string> paths, const CheckpointInfo& info);
  /// Waits for what is being written. Throws InputError when the last write failed, Diverged when the state was not
  /// finite.
  void finish();
  /// Path of the newest checkpoint that is complete, "" before there is one.
  const std::string& newest() const { return newest_; }

 private:
  void work();
  void write();
  void prune() const;
  void report_last_write();

  using Clock = std::chrono::steady_clock;
  const Session& session_;
  const Saving& saving_;
  const RunRecord& record_;
  Console& console_;
  RunLog& log_;
  Snapshot snapshot_;
  std::vector<std::string> paths_;
  std::string newest_, failure_;     // failure_: of the last write, "" when it went well
  Clock::time_point begun_, retry_;  // the last begin(); when to try again after a failure
  double pause_ = 0;                 // seconds between tries

  std::mutex mutex_;  // guards the following
  std::condition_variable changed_;
  bool writing_ = false, ended_ = false, stop_ = false;
  std::exception_ptr error_;
  double seconds_ = 0;
  std::thread thread_;
};

}  // namespace moproc::train
