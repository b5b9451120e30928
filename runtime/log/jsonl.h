// The logs that a run writes besides checkpoints: TensorBoard events and a file of JSON lines.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "formats/line_file.h"
#include "log/events.h"

namespace moproc::train {

/// If a log can no longer be written (a full disk), the run goes on. A message on stderr says so, and another one says
/// when the log can be written again. But if nothing could be written yet, the first entry throws InputError.
class RunLog {
 public:
  /// If one of the names is empty, that log is not written. Each record carries `run`, the run's id. If a process was
  /// killed while it wrote the last line of the JSON log, that line is removed, which a warning on stderr says. Throws
  /// InputError if a file cannot be made.
  RunLog(const std::string& event_folder, const std::string& json_path, std::string run);

  /// Makes the event file of a run that goes on at `from`, with its settings and the tags of its results. Returns how
  /// many scalars of earlier processes were removed, because the run computes them again. Throws InputError.
  int64_t begin_events(const RunPlace& from, const std::vector<Setting>& settings,
                       const std::vector<std::string>& results);
  /// A TensorBoard scalar; `step` counts what its tag counts (log/events.h). Nothing before begin_events().
  void scalar(std::string_view tag, double value, int64_t step);
  /// How the run ended, for TensorBoard.
  void end_events(Ending ending);
  /// Appends a line to the JSON log.
  void line(const JsonLine& line);

 private:
  std::string event_folder_, run_;
  std::unique_ptr<EventFile> events_;
  std::unique_ptr<formats::LineFile> json_;
  void attempt(bool& failing, const char* what, const std::function<void()>& write);
  bool events_failing_ = false, json_failing_ = false, begun_ = false;
};

}  // namespace moproc::train
