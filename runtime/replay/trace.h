// The results of a replay as JSON, for comparison with other implementations: losses, accuracies and labels of every
// step, each as a list with one value per group, and norms of the final state.
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
  /// Makes sure that `path` can be written. The file appears there when finish() is done. Throws InputError if it
  /// cannot be written, or if another file than a trace has this path.
  explicit Trace(const std::string& path);
  ~Trace();
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  /// Keeps a copy of the parameters and momenta, from which after() computes the gradients of the next step.
  void before(const Session& session);
  /// Adds a step that has run. A value that its phase does not compute, and 0/0, is null. `grad_l2` has the norm of
  /// each parameter's gradient before weight decay, computed from the momenta: g = v' - momentum v - wd p. It is null
  /// if the step was not finite and therefore did not change v.
  void after(const Session& session, const StepRunner& runner, const ReplayStep& step, const Hyper& hyper,
             int64_t groups);
  /// Adds {l2, mean, first} (its first 4 elements) of every state except derived ones, and writes the file.
  void finish(const Session& session);

 private:
  std::string gradients(const Session& session, const Hyper& hyper) const;

  std::string path_, partial_, steps_;
  std::map<int, std::vector<float>> before_;  // parameters and momenta, by tensor
  bool done_ = false;
};

}  // namespace moproc::train
