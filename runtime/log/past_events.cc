// A file is read record by record. Within a file, events are in the order of the run, so a prefix of it stays.
#include "log/past_events.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <span>
#include <vector>

#include "core/error.h"
#include "formats/mapped_file.h"
#include "log/events.h"
#include "log/proto.h"

namespace moproc::train {
namespace {

namespace fs = std::filesystem;
using proto::Field;
using proto::take_field;

/// What an event of ours says about its place.
struct Event {
  int64_t step = 0;
  std::string_view tag;  // "": no summary
  bool restarts = false;
  std::string_view writer;
};

/// The first field of a message with this number; "" if there is none.
std::string_view field_of(std::string_view message, int number) {
  for (Field f; take_field(message, f);)
    if (f.number == number) return f.text;
  return {};
}

Event decode(std::string_view message) {
  Event e;
  for (Field f; take_field(message, f);) {
    if (f.number == 2) e.step = static_cast<int64_t>(f.value);
    if (f.number == 5) e.tag = field_of(field_of(f.text, 1), 1);
    if (f.number == 7) e.restarts = true;
    if (f.number == 10) e.writer = field_of(f.text, 1);
  }
  return e;
}

bool is_after(const Event& e, const RunPlace& from) {
  if (e.restarts) return e.step > from.step;
  if (e.tag == kExperimentTag || e.tag == kSessionStartTag) return from.step == 0;
  if (e.tag == kSessionEndTag) return true;
  if (e.tag == kSettingsTag) return e.step >= from.step;
  return e.tag.starts_with(kStepTag) ? e.step > from.step : e.step >= from.epoch;
}

/// Takes the next record from the front of `rest`; false at the end, or if the rest is not a whole record.
bool take_record(std::string_view& rest, std::string_view& payload) {
  constexpr size_t kHead = 12, kTail = 4;
  uint64_t size = 0;
  uint32_t crc = 0;
  const auto checked = [&](std::string_view bytes, size_t at) {
    std::memcpy(&crc, rest.data() + at, sizeof crc);
    return crc == masked_crc32c(std::as_bytes(std::span(bytes.data(), bytes.size())));
  };
  if (rest.size() < kHead + kTail || !checked(rest.substr(0, sizeof size), sizeof size)) return false;
  std::memcpy(&size, rest.data(), sizeof size);
  if (size > rest.size() - kHead - kTail || !checked(rest.substr(kHead, size), kHead + size)) return false;
  payload = rest.substr(kHead, size);
  rest.remove_prefix(kHead + size + kTail);
  return true;
}

/// How much of a file stays.
struct Part {
  size_t keep = 0;      // bytes
  int64_t removed = 0;  // scalars behind them
  bool whole = true;
  bool empty = true;  // nothing is left that says something about the run
  bool has_experiment = false;
};

/// Nothing happens to a file that is not ours: it is whole.
Part part_of(std::string_view text, const RunPlace& from) {
  Part part;
  std::string_view rest = text, payload;
  if (!take_record(rest, payload) || decode(payload).writer != kEventWriter) return {.keep = text.size()};
  part.keep = text.size() - rest.size();
  while (take_record(rest, payload)) {
    const Event e = decode(payload);
    part.whole = part.whole && !is_after(e, from);
    if (!part.whole) part.removed += !e.restarts && !e.tag.empty() && !e.tag.starts_with("_") && e.tag != kSettingsTag;
    else part.keep = text.size() - rest.size(), part.empty = part.empty && e.restarts;
    part.has_experiment = part.has_experiment || (part.whole && e.tag == kExperimentTag);
  }
  part.whole = part.whole && part.keep == text.size();
  return part;
}

}  // namespace

PastEvents remove_events_after(const std::string& folder, const RunPlace& from) {
  PastEvents past;
  std::error_code error;
  std::vector<std::string> paths;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kEventPrefix) || !fs::is_regular_file(entry.symlink_status())) continue;
    int64_t time = 0;
    std::from_chars(name.data() + kEventPrefix.size(), name.data() + name.size(), time);
    past.latest = std::max(past.latest, time);
    paths.push_back(entry.path().string());
  }
  for (const std::string& path : paths) {
    Part part;
    {
      const formats::MappedFile file(path);
      part = part_of({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()}, from);
    }
    past.has_experiment = past.has_experiment || part.has_experiment;
    if (part.whole) continue;
    past.removed += part.removed;
    if (part.empty) fs::remove(path, error);
    else fs::resize_file(path, part.keep, error);
    if (error) throw InputError(path + ": the events that this run repeats cannot be removed: " + error.message());
  }
  return past;
}

}  // namespace moproc::train
