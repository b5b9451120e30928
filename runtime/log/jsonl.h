// What a run leaves in files besides checkpoints: TensorBoard events and one JSON line a print.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "core/json.h"
#include "formats/output_file.h"
#include "log/events.h"

namespace moproc::train {

/// A log that can no longer be written (a full disk) does not end a run: it says so on stderr, and when it goes on. One
/// that never could is an InputError of its first line.
class RunLog {
 public:
  /// Either name may be empty: then that log is not kept. Throws InputError when a file cannot be made.
  RunLog(const std::string& event_folder, const std::string& json_path);

  /// A TensorBoard scalar; `step` is the epoch, as in the published logs.
  void scalar(const char* tag, double value, int64_t step);
  /// One line of the JSON log.
  void line(const JsonLine& line);

 private:
  std::unique_ptr<EventFile> events_;
  std::unique_ptr<formats::OutputFile> json_;
  void attempt(bool& failing, const char* what, const std::function<void()>& write);
  bool events_failing_ = false, json_failing_ = false, begun_ = false;
};

}  // namespace moproc::train
