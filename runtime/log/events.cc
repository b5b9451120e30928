// Encodes by hand the few fields that these events need.
#include "log/events.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "core/json.h"
#include "log/proto.h"

namespace moproc::train {
namespace {

using namespace proto;

constexpr std::array<uint32_t, 256> crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t c = i;
    for (int k = 0; k < 8; ++k) c = c & 1 ? c >> 1 ^ 0x82f63b78u : c >> 1;
    table[i] = c;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kCrcTable = crc_table();

std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

void put_text(std::string& out, int field, std::string_view text) { put_bytes(out, field, valid_utf8(text)); }

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// TensorBoard reads files in the order of their names, so the name is behind those of the files before it, even if
/// they are of the same second or the clock was set back.
std::string file_name(const std::string& folder, const PastEvents& past) {
  char host[256] = "";
  if (gethostname(host, sizeof host - 1) != 0 || host[0] == '\0') std::strcpy(host, "localhost");
  char name[400];
  std::snprintf(name, sizeof name, "%s%010lld.%s.%d.0", kEventPrefix.data(),
                std::max(static_cast<long long>(wall_time()), static_cast<long long>(past.latest) + 1), host,
                static_cast<int>(getpid()));
  return folder + "/" + name;
}

/// An event {wall_time, step, `field`: message}.
std::string event(double time, int64_t step, int field, std::string_view message) {
  std::string out;
  put_double(out, 1, time);
  put_int(out, 2, step);
  put_bytes(out, field, message);
  return out;
}

/// An event with a summary of one value: {tag, tensor, metadata {plugin_data {plugin_name, content}, data_class
/// TENSOR}}.
std::string plugin_event(double time, int64_t step, std::string_view tag, std::string_view plugin,
                         std::string_view content, std::string_view tensor) {
  std::string data, metadata, value, summary;
  put_bytes(data, 1, plugin);
  put_bytes(data, 2, content);
  put_bytes(metadata, 1, data);
  put_int(metadata, 4, 2);
  put_bytes(value, 1, tag);
  put_bytes(value, 8, tensor);
  put_bytes(value, 9, metadata);
  put_bytes(summary, 1, value);
  return event(time, step, 5, summary);
}

/// An event of the HParams plugin, whose tensor, f32[1], has no meaning.
std::string hparams_event(double time, std::string_view tag, int field, std::string_view message) {
  constexpr int kFloat = 1;
  std::string size, shape, tensor, content, value;
  put_int(size, 1, 1);
  put_bytes(shape, 2, size);
  put_int(tensor, 1, kFloat);
  put_bytes(tensor, 2, shape);
  put_fixed(value, 0.0f);
  put_bytes(tensor, 5, value);
  put_bytes(content, field, message);
  return plugin_event(time, 0, tag, "hparams", content, tensor);
}

/// google.protobuf.Value.
std::string value_of(const Setting& s) {
  constexpr int kNumber = 2, kString = 3, kBool = 4;
  std::string out;
  if (s.json && (s.value == "true" || s.value == "false")) {
    put_int(out, kBool, s.value == "true");
  } else if (s.json) {
    double number = 0;
    std::from_chars(s.value.data(), s.value.data() + s.value.size(), number);
    put_double(out, kNumber, number);
  } else {
    put_text(out, kString, s.value);
  }
  return out;
}

/// tensorboard.hparams.DataType.
int type_of(const Setting& s) {
  constexpr int kString = 1, kBool = 2, kFloat64 = 3;
  return !s.json ? kString : s.value == "true" || s.value == "false" ? kBool : kFloat64;
}

/// A row of a table in Markdown.
std::string row(const std::string& name, const std::string& value) {
  std::string shown;
  for (const char c : value) shown += c == '|' ? "\\|" : c == '\n' ? " " : std::string(1, c);
  return "| " + name + " | " + shown + " |\n";
}

}  // namespace

uint32_t crc32c(std::span<const std::byte> data) {
  uint32_t c = ~0u;
  for (const std::byte b : data) c = kCrcTable[(c ^ static_cast<uint32_t>(b)) & 255] ^ c >> 8;
  return ~c;
}

uint32_t masked_crc32c(std::span<const std::byte> data) { return std::rotr(crc32c(data), 15) + 0xa282ead8u; }

std::string tf_record(std::string_view payload) {
  std::string out;
  put_fixed(out, static_cast<uint64_t>(payload.size()));
  put_fixed(out, masked_crc32c(as_bytes(out)));
  out += payload;
  put_fixed(out, masked_crc32c(as_bytes(payload)));
  return out;
}

std::string version_event(double time) {
  std::string event, source;
  put_double(event, 1, time);
  put_bytes(event, 3, "brain.Event:2");
  put_bytes(source, 1, kEventWriter);
  put_bytes(event, 10, source);
  return event;
}

std::string scalar_event(double time, int64_t step, std::string_view tag, float value) {
  std::string scalar, summary;
  put_text(scalar, 1, tag);
  put_float(scalar, 2, value);
  put_bytes(summary, 1, scalar);
  return event(time, step, 5, summary);
}

std::string restart_event(double time, int64_t step) {
  constexpr int kStart = 1;
  std::string log;
  put_int(log, 1, kStart);
  return event(time, step, 7, log);
}

std::string text_event(double time, int64_t step, std::string_view tag, std::string_view text) {
  constexpr int kString = 7;
  std::string tensor;
  put_int(tensor, 1, kString);
  put_bytes(tensor, 2, "");  // a shape without dimensions
  put_text(tensor, 8, text);
  return plugin_event(time, step, tag, "text", "", tensor);
}

std::string experiment_event(double time, const std::vector<Setting>& settings,
                             const std::vector<std::string>& metrics) {
  std::string experiment;
  for (const Setting& s : settings) {
    std::string info;
    put_text(info, 1, s.name);
    put_int(info, 4, type_of(s));
    put_bytes(experiment, 4, info);
  }
  for (const std::string& tag : metrics) {
    std::string name, info;
    put_text(name, 2, tag);
    put_bytes(info, 1, name);
    put_bytes(experiment, 5, info);
  }
  put_double(experiment, 3, time);
  return hparams_event(time, kExperimentTag, 2, experiment);
}

std::string session_start_event(double time, const std::vector<Setting>& settings) {
  std::string start;
  for (const Setting& s : settings) {
    std::string entry;
    put_text(entry, 1, s.name);
    put_bytes(entry, 2, value_of(s));
    put_bytes(start, 1, entry);
  }
  put_double(start, 5, time);
  return hparams_event(time, kSessionStartTag, 3, start);
}

std::string session_end_event(double time, Ending ending) {
  std::string end;
  put_int(end, 1, static_cast<int64_t>(ending));
  put_double(end, 2, time);
  return hparams_event(time, kSessionEndTag, 4, end);
}

EventFile::EventFile(const std::string& folder, const RunPlace& from)
    : from_(from),
      past_(remove_events_after(folder, from)),
      file_(file_name(folder, past_), formats::OutputFile::Open::append) {
  file_.write(tf_record(version_event(wall_time())));
  file_.write(tf_record(restart_event(wall_time(), from.step + 1)));
}

void EventFile::begin(const std::vector<Setting>& settings, const std::vector<std::string>& metrics) {
  const double now = wall_time();
  if (!past_.has_experiment) {  // TensorBoard uses the first records of a run
    file_.write(tf_record(experiment_event(now, settings, metrics)));
    file_.write(tf_record(session_start_event(now, settings)));
  }
  std::string table = row("setting", "value") + row("---", "---");
  for (const Setting& s : settings) table += row(s.name, s.value);
  file_.write(tf_record(text_event(now, from_.step, kSettingsTag, table)));
}

void EventFile::scalar(std::string_view tag, double value, int64_t step) {
  file_.write(tf_record(scalar_event(wall_time(), step, tag, static_cast<float>(value))));
}

void EventFile::end(Ending ending) { file_.write(tf_record(session_end_event(wall_time(), ending))); }

}  // namespace moproc::train
