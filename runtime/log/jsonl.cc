// Both logs are written without buffering, so the logs of a killed run are complete up to its last print.
#include "log/jsonl.h"

#include <cstdio>

#include "core/error.h"

namespace moproc::train {

RunLog::RunLog(const std::string& event_folder, const std::string& json_path) {
  if (!event_folder.empty()) events_ = std::make_unique<EventFile>(event_folder);
  if (!json_path.empty()) {
    formats::require_log(json_path, formats::log_mark());
    json_ = std::make_unique<formats::OutputFile>(json_path, formats::OutputFile::Open::append);
  }
}

void RunLog::scalar(const char* tag, double value, int64_t step) {
  if (events_) attempt(events_failing_, "events for TensorBoard are", [&] { events_->scalar(tag, value, step); });
}

void RunLog::line(const JsonLine& line) {
  if (!json_) return;
  const std::string behind_half_a_line = json_failing_ ? "\n" : "";
  attempt(json_failing_, "lines of the log are", [&] { json_->write(behind_half_a_line + line.text() + "\n"); });
}

void RunLog::attempt(bool& failing, const char* what, const std::function<void()>& write) {
  try {
    write();
    if (failing) std::fprintf(stderr, "note: %s written again\n", what);
    failing = false;
    begun_ = true;
  } catch (const InputError& e) {
    if (!begun_) throw;
    if (!failing) std::fprintf(stderr, "warning: %s; %s lost until that changes\n", e.what(), what);
    failing = true;
  }
}

}  // namespace moproc::train
