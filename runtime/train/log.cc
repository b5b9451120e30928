// Both logs are written through at once, so that a run that is killed has them up to its last print.
#include "train/log.h"

namespace moproc::train {

RunLog::RunLog(const std::string& event_folder, const std::string& json_path) {
  if (!event_folder.empty()) events_ = std::make_unique<EventFile>(event_folder);
  if (!json_path.empty())
    json_ = std::make_unique<formats::OutputFile>(json_path, formats::OutputFile::Open::append);
}

void RunLog::scalar(const char* tag, double value, int64_t step) {
  if (events_) events_->scalar(tag, value, step);
}

void RunLog::line(const JsonLine& line) {
  if (json_) json_->write(line.text() + "\n");
}

}  // namespace moproc::train
