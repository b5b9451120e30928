// Both logs are written without buffering, so the logs of a killed run are complete up to its last print.
#include "log/jsonl.h"

#include <cstdio>
#include <utility>

#include "core/error.h"

namespace moproc::train {

RunLog::RunLog(const std::string& event_folder, const std::string& json_path, std::string run)
    : event_folder_(event_folder), run_(std::move(run)) {
  if (!json_path.empty()) {
    formats::require_log(json_path, formats::log_mark());
    json_ = std::make_unique<formats::LineFile>(json_path);
    if (json_->removed() > 0)
      std::fprintf(stderr, "warning: %s: its last line was incomplete; these %lld bytes are removed\n",
                   json_path.c_str(), static_cast<long long>(json_->removed()));
  }
}

int64_t RunLog::begin_events(const RunPlace& from, const std::vector<Setting>& settings,
                             const std::vector<std::string>& results) {
  if (event_folder_.empty()) return 0;
  events_ = std::make_unique<EventFile>(event_folder_, from);
  events_->begin(settings, results);
  return events_->removed();
}

void RunLog::end_events(Ending ending) {
  if (events_) attempt(events_failing_, "events for TensorBoard are", [&] { events_->end(ending); });
}

void RunLog::scalar(std::string_view tag, double value, int64_t step) {
  if (events_) attempt(events_failing_, "events for TensorBoard are", [&] { events_->scalar(tag, value, step); });
}

void RunLog::line(const JsonLine& line) {
  if (!json_) return;
  attempt(json_failing_, "lines of the log are", [&] { json_->line(JsonLine(line).add("run", run_).text()); });
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
