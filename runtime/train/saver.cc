// One thread writes one snapshot at a time. The trainer's thread reports the result, so only one thread prints.
#include "train/saver.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <utility>

#include "core/error.h"

namespace moproc::train {
namespace {

constexpr double kFirstPause = 30, kLongestPause = 600;  // seconds

double seconds_since(std::chrono::steady_clock::time_point t) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - t).count();
}

}  // namespace

Saver::Saver(const Session& session, const Saving& saving, const RunRecord& record, Console& console, RunLog& log)
    : session_(session), saving_(saving), record_(record), console_(console), log_(log), begun_(Clock::now()) {
  std::error_code error;
  std::vector<std::filesystem::path> partial;
  for (const auto& entry : std::filesystem::directory_iterator(saving.exp_dir, error)) {
    const std::string name = entry.path().filename().string(), of(formats::without_temporary_end(name));
    if (is_checkpoint_name(of)) partial.push_back(entry.path());
  }
  for (const auto& p : partial) std::filesystem::remove(p, error);
  thread_ = std::thread([this] { work(); });
}

Saver::~Saver() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

bool Saver::is_time() const { return saving_.every_seconds > 0 && seconds_since(begun_) >= saving_.every_seconds; }

bool Saver::due(int64_t step) {
  report_last_write();
  if (saving_.every_steps > 0 && step % saving_.every_steps == 0) return true;
  const bool again = !failure_.empty() && Clock::now() >= retry_;
  if (!is_time() && !again) return false;
  const std::lock_guard lock(mutex_);
  return !writing_;
}

void Saver::begin(std::vector<std::string> paths, const CheckpointInfo& info) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !writing_; });
  lock.unlock();
  report_last_write();
  take_snapshot(session_, info, record_, saving_.format, snapshot_);
  paths_ = std::move(paths);
  begun_ = Clock::now();
  lock.lock();
  writing_ = true;
  changed_.notify_all();
}

void Saver::finish() {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !writing_; });
  }
  report_last_write();
  if (!failure_.empty()) throw InputError(failure_);
}

/// Prints and logs the result of the last write, once.
void Saver::report_last_write() {
  std::exception_ptr error;
  {
    const std::lock_guard lock(mutex_);
    if (!ended_) return;
    ended_ = false;
    error = std::exchange(error_, nullptr);
  }
  if (!error) {
    if (!failure_.empty()) console_.line("note: " + paths_.back() + " is written: writing works again");
    failure_.clear();
    pause_ = 0;
    newest_ = paths_.back();
    JsonLine record;
    record.add("event", "checkpoint").add("path", newest_).add("seconds", seconds_);
    log_.line(record);
    return;
  }
  try {
    std::rethrow_exception(error);
  } catch (const InputError& e) {
    failure_ = e.what();
  }
  pause_ = std::min(kLongestPause, std::max(kFirstPause, 2 * pause_));
  retry_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(pause_));
  console_.line(
      format("warning: no checkpoint: %s; the run goes on and tries again in %.0f s", failure_.c_str(), pause_));
  JsonLine record;
  record.add("event", "checkpoint_failed").add("path", paths_.back()).add("reason", failure_);
  log_.line(record);
}

void Saver::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return writing_ || stop_; });
    if (!writing_) return;
    lock.unlock();
    const auto start = Clock::now();
    std::exception_ptr error;
    try {
      write();
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    seconds_ = seconds_since(start);
    error_ = error;
    writing_ = false;
    ended_ = true;
    changed_.notify_all();
  }
}

void Saver::write() {
  if (const std::string where = first_nonfinite(snapshot_); !where.empty())
    throw Diverged("the run has diverged: " + where + "; " + paths_.back() +
                   " is not written; a smaller --lr may help");
  for (const std::string& path : paths_) write_snapshot(snapshot_, path);
  point_last_to(paths_.back());
  prune();
}

/// Removes checkpoints beyond --keep, --keep-epochs and --keep-every that moproc wrote. Failures are ignored, because
/// the next checkpoint tries again.
void Saver::prune() const {
  int within = 0, ends = 0;
  for (const FoundCheckpoint& c : checkpoints_in(saving_.exp_dir)) {
    const bool keep = c.ends_epoch ? ++ends <= saving_.keep_epochs || (c.epoch + 1) % saving_.keep_every == 0
                                   : ++within <= saving_.keep;
    std::error_code error;
    if (!keep && c.path != paths_.back() && is_own_checkpoint(c.path)) std::filesystem::remove(c.path, error);
  }
}

}  // namespace moproc::train
