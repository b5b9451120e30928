// What a replay computed, as JSON for comparison with other implementations: losses, accuracies and labels of
// every step, a list of one value a group each, and norms of the state that is left.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "replay/replay_file.h"
#include "session/session.h"
#include "train/step.h"

namespace moproc::train {

/// "format" of the file.
inline constexpr const char* kTraceFormat = "moproc-trace-1";

class Trace {
 public:
  /// Makes sure that `path` can be written; it appears there when finish() is done. Throws InputError, also where a
  /// file that is no trace is there.
  explicit Trace(const std::string& path);
  ~Trace();
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  /// Remembers what the gradients of the step to come are computed from.
  void before(const Session& session);
  /// Adds a step that has run. What its phase lacks, and 0/0, is null; `grad_l2` has the norm of each
  /// parameter's gradient before weight decay, from the momenta: g = v' - momentum v - wd p; null where the
  /// step was not finite and left v as it was.
  void after(const Session& session, const StepRunner& runner, const ReplayStep& step, const Hyper& hyper,
             int64_t groups);
  /// Adds {l2, mean, first} of every state and writes the file.
  void finish(const Session& session);

 private:
  std::string gradients(const Session& session, const Hyper& hyper) const;

  std::string path_, partial_, steps_;
  std::map<int, std::vector<float>> before_;  // parameters and momenta, by tensor
  bool done_ = false;
};

}  // namespace moproc::train
