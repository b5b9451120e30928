// The folder of a run (--exp-dir) has one owner: checkpoints of another run are neither continued nor mixed with this
// run's by mistake, and two processes do not write there at the same time.
#pragma once

#include <string>

#include "train/settings.h"

namespace moproc::train {

/// Throws InputError, with the remedies, if the folder has checkpoints of moproc that the run neither continues nor may
/// replace: it starts anew, or from an earlier checkpoint, without --overwrite.
void require_own_folder(const RunSettings& settings);

/// Removes the checkpoints that require_own_folder() would refuse, and the log if the run starts anew. Returns a line
/// for the user; "" if there was nothing. Throws InputError if one cannot be removed.
std::string remove_other_run(const RunSettings& settings);

/// Holds the folder while it exists; the system releases it when the process ends.
class FolderLock {
 public:
  /// Throws InputError if another process holds the folder. On file systems that cannot lock a folder, does nothing.
  explicit FolderLock(const std::string& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int fd_ = -1;
};

}  // namespace moproc::train
