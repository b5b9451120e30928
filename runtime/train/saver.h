// Writes checkpoints in the background: copies the state between two steps, and writes the copy while the run goes on.
// If a write fails (a full disk), a warning is printed and a later checkpoint is tried; it is an error only at the end
// of the run.
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

/// The state holds a NaN or infinity, or too many steps in a row were not finite, so the run cannot go on. No file was
/// replaced.
class Diverged : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Not thread safe: one caller, the trainer.
class Saver {
 public:
  /// All arguments must outlive the saver. Removes unfinished files that a killed run has left in saving.exp_dir.
  Saver(const Session& session, const Saving& saving, const RunRecord& record, Console& console, RunLog& log);
  ~Saver();
  Saver(const Saver&) = delete;
  Saver& operator=(const Saver&) = delete;

  /// Whether a checkpoint within an epoch is due after `step` steps of it: by --save-every, or because the last one
  /// failed. If --save-every is a time, it is due only if no older one is being written. If it is a number of steps, it
  /// is always due then, so that the files' names do not depend on the disk.
  bool due(int64_t step);
  /// Whether --save-every is a time, and this time has passed.
  bool is_time() const;
  /// Waits for an older write, copies the state, and starts to write it to all `paths` in order. The last path is the
  /// checkpoint's. Throws Diverged if the older state was not finite.
  void begin(std::vector<std::string> paths, const CheckpointInfo& info);
  /// Waits for the write that is under way. Throws InputError if the last write failed, and Diverged if the state was
  /// not finite.
  void finish();
  /// Path of the newest complete checkpoint of this run; "" if there is none yet.
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
  std::string newest_, failure_;     // failure_: of the last write, "" if it succeeded
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
