// The logs that a run writes besides checkpoints: TensorBoard events and a file of JSON lines.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/json.h"
#include "formats/output_file.h"
#include "log/events.h"

namespace moproc::train {

/// If a log can no longer be written (a full disk), the run goes on. A message on stderr says so, and another one says
/// when the log can be written again. But if nothing could be written yet, the first entry throws InputError.
class RunLog {
 public:
  /// If one of the names is empty, that log is not written. Throws InputError if a file cannot be made.
  RunLog(const std::string& event_folder, const std::string& json_path);

  /// A TensorBoard scalar; `step` is the epoch, as in the published logs.
  void scalar(const char* tag, double value, int64_t step);
  /// Appends a line to the JSON log.
  void line(const JsonLine& line);

 private:
  std::unique_ptr<EventFile> events_;
  std::unique_ptr<formats::OutputFile> json_;
  void attempt(bool& failing, const char* what, const std::function<void()>& write);
  bool events_failing_ = false, json_failing_ = false, begun_ = false;
};

}  // namespace moproc::train
