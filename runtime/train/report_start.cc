// The first record of a process in the logs: what runs, with which settings, from where on, and on which machine.
#include <sys/utsname.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>

#include "cpu/cores.h"
#include "train/record.h"
#include "train/report.h"

#ifndef MOPROC_VERSION
#error "the build defines MOPROC_VERSION, the version in package.json"
#endif

namespace moproc::train {
namespace {

/// The command that the user typed: moproc's, which it tells its binaries in MOPROC_COMMAND, or that of this process.
std::string command_line() {
  if (const char* const given = std::getenv("MOPROC_COMMAND")) return given;
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::string text;
  for (std::string word; std::getline(file, word, '\0');) text += (text.empty() ? "" : " ") + in_shell(word);
  return text;
}

/// "AMD EPYC 9654 96-Core Processor"; the architecture if the system does not name the model.
std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("model name"))
      if (const size_t at = line.find(": "); at != std::string::npos) return line.substr(at + 2);
  utsname system{};
  return uname(&system) == 0 ? system.machine : "unknown";
}

/// The value of the plan's meta as JSON: a number if it is one.
std::string json_of(const MetaInfo& m) {
  const std::string_view text = m.value;
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string json;
  const bool is_number = !text.empty() && error == std::errc() && end == text.data() + text.size();
  if (!is_number) write_json(json, text);
  else if (std::string_view(m.key) == "width") write_json(json, number);  // the only one that may have a fraction
  else json = text;
  return json;
}

/// The settings that change the results of this run, by the keys of the log.
std::vector<Setting> settings_of(const Session& session, const RunSettings& settings) {
  std::vector<Setting> all;
  for (const MetaInfo& m : session.plan().meta)
    if (std::string_view(m.key) != "task") all.push_back({m.key, m.value, !json_of(m).starts_with('"')});
  const std::string other = session.has_program("train") ? "mopro" : "classifier";
  for (const Recorded& r : settings.record.values)
    if (!r.key.empty() && !r.value.empty() && r.task != other) all.push_back({r.key, r.value, r.json});
  return all;
}

}  // namespace

void Report::start(const Session& session, const RunSettings& settings, const RunFacts& facts) {
  const Plan& plan = session.plan();
  char host[256] = "", started[32] = "";
  gethostname(host, sizeof host - 1);
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  std::strftime(started, sizeof started, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
  JsonLine record;
  record.add("event", "start").add("verb", settings.record.verb);
  for (const MetaInfo& m : plan.meta)
    if (std::string_view(m.key) != "task") record.add_raw(m.key, json_of(m));
  record.add("steps", facts.steps).add_raw("seed", std::to_string(facts.seed));
  record.add("data", settings.data).add("data_name", facts.lists.name).add("data_digest", facts.data_digest);
  const std::string other = session.has_program("train") ? "mopro" : "classifier";
  for (const Recorded& r : settings.record.values)
    if (!r.key.empty() && !r.value.empty() && r.task != other) record.add_raw(r.key, json_value(r));
  record.add("from_epoch", int64_t{facts.at.epoch}).add("from_step", facts.at.step);
  record.add("from_run_step", facts.at.steps).add("from_samples", facts.at.samples);
  record.add("device", session.device().name()).add("workers", int64_t{settings.compute.workers});
  record.add("plan", plan.name).add("plan_digest", plan.digest).add("started", started).add("host", host);
  record.add("cpu", cpu_model()).add("cores", int64_t{usable_cores()});
  if (session.device().separate()) record.add("gpu", session.device().name());
  record.add("moproc", MOPROC_VERSION).add("command", command_line());
  log_.line(record);

  std::vector<std::string> results = {"epoch/loss", "Train Acc"};
  for (const Validation& v : facts.lists.val)
    for (const int k : {1, 5}) results.push_back(v.tag(k));
  std::vector<Setting> all = settings_of(session, settings);
  all.push_back({"seed", std::to_string(facts.seed), true});
  all.push_back({"data", facts.lists.name, false});
  const int64_t removed = log_.begin_events({facts.at.steps, facts.at.epoch}, all, results);
  if (removed > 0)
    console_.line(facts.at.steps == 0
                      ? format("note: %lld values of TensorBoard of an earlier start are removed: this run begins anew",
                               static_cast<long long>(removed))
                      : format("note: %lld values of TensorBoard after step %lld are removed: this run computes them "
                               "again",
                               static_cast<long long>(removed), static_cast<long long>(facts.at.steps)));
}

}  // namespace moproc::train
