// The lock is flock() on the folder itself, so that no file is left there.
#include "train/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "formats/mapped_file.h"
#include "formats/own_file.h"
#include "train/checkpoint.h"
#include "train/supervisor.h"

namespace moproc::train {
namespace {

namespace fs = std::filesystem;

/// The checkpoints of moproc in the run's folder that are newer than the one that the run begins with; the newest
/// first.
std::vector<std::string> newer_checkpoints(const RunSettings& s) {
  std::vector<std::string> newer;
  if (s.saving.exp_dir.empty() || s.evaluate || s.resume == "auto") return newer;
  std::error_code error;
  for (const FoundCheckpoint& c : checkpoints_in(s.saving.exp_dir)) {
    if (!s.resume.empty() && fs::equivalent(c.path, s.resume, error)) break;
    if (is_own_checkpoint(c.path)) newer.push_back(c.path);
  }
  return newer;
}

/// Whether the log says that a run has written a checkpoint. A run that died before that leaves nothing of worth.
bool log_names_checkpoint(const std::string& log) {
  if (!formats::is_own_file(log, formats::log_mark())) return false;
  const formats::MappedFile file(log);
  const auto bytes = file.bytes();
  return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size())
             .find("{\"event\": \"checkpoint\", ") != std::string_view::npos;
}

/// Throws InputError if a run in the folder has nothing from which this one could go on: a run that begins anew would
/// replace what is left of it.
void require_whole_run(const RunSettings& s) {
  const std::string& folder = s.saving.exp_dir;
  const std::vector<FoundCheckpoint> all = checkpoints_in(folder);
  const char* const choices =
      "; --resume FILE begins with another checkpoint, such as model_best; without --resume, --overwrite removes what "
      "is left, and another --exp-dir keeps it";
  if (all.empty()) {
    if (log_names_checkpoint(folder + "/metrics.jsonl"))
      throw InputError(folder + ": holds the log of a run whose checkpoints are gone" + choices);
    return;
  }
  std::vector<std::string> notes;
  if (s.resume == "auto" && newest_whole_checkpoint(folder, notes).empty())
    throw InputError(notes.front().substr(0, notes.front().rfind(';')) + "; no checkpoint in " + folder +
                     " can be read" + choices);
}

}  // namespace

void require_own_folder(const RunSettings& s) {
  if (s.saving.overwrite || is_restarted()) return;
  const std::vector<std::string> newer = newer_checkpoints(s);
  if (!s.evaluate && !s.saving.exp_dir.empty() && (s.resume.empty() || s.resume == "auto")) require_whole_run(s);
  if (newer.empty()) return;
  throw InputError(s.saving.exp_dir + ": holds a run up to " + fs::path(newer.front()).filename().string() +
                   "; --resume auto continues it, --overwrite removes what this run does not continue, and another " +
                   "--exp-dir keeps both");
}

std::string remove_other_run(const RunSettings& s) {
  if (!s.saving.overwrite || is_restarted()) return "";
  const std::vector<std::string> newer = newer_checkpoints(s);
  const auto remove = [](const std::string& path) {
    std::error_code error;
    fs::remove(path, error);
    if (error) throw InputError(path + ": --overwrite cannot remove it: " + error.message());
  };
  for (const std::string& path : newer) remove(path);
  const bool anew = std::ranges::none_of(checkpoints_in(s.saving.exp_dir),
                                         [](const FoundCheckpoint& c) { return is_own_checkpoint(c.path); });
  if (anew)
    for (const char* const name : {"/model_best.safetensors", "/model_best.pth.tar"})
      if (is_own_checkpoint(s.saving.exp_dir + name)) remove(s.saving.exp_dir + name);
  const std::string log = s.saving.exp_dir + "/metrics.jsonl";
  const bool with_log = anew && s.resume != "auto" && formats::is_own_file(log, formats::log_mark());
  if (with_log) remove(log);
  if (newer.empty() && !with_log) return "";
  return "--overwrite: " + std::to_string(newer.size()) + " checkpoints" + (with_log ? " and the log" : "") +
         " of another run were removed from " + s.saving.exp_dir;
}

FolderLock::FolderLock(const std::string& folder) : fd_(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (fd_ < 0 || flock(fd_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  close(fd_);
  throw InputError(folder + ": another process is writing a run there; wait for it, or give another --exp-dir");
}

FolderLock::~FolderLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace moproc::train
