// Formats that have room for a mark carry it. pseudo_label.json, its report and subset.txt have none: a neighbour
// names them by their digest.
#include "train/targets.h"

#include <filesystem>
#include <fstream>
#include <optional>

#include "core/error.h"
#include "core/json.h"
#include "formats/own_file.h"
#include "formats/sha256.h"
#include "train/checkpoint.h"
#include "train/clean.h"
#include "train/dump.h"
#include "train/features.h"
#include "train/lowshot.h"
#include "train/trace.h"

namespace moproc::train {

using namespace formats;
namespace {

namespace fs = std::filesystem;

bool is_empty_file(const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(fs::symlink_status(path, error)) && fs::file_size(path, error) == 0;
}

/// Throws unless `path` is absent, empty, or has the digest that the neighbour `by` says.
void require_named(const std::string& path, const std::string& digest, const std::string& by) {
  require_file(path, checked_mark());  // no link, no folder
  std::error_code error;
  if (!fs::exists(path, error) || is_empty_file(path) || file_sha256(path) == digest) return;
  refuse_target(path, "exists, and " + by + " does not name it as written by moproc");
}

void require_clean(const Options& o) {
  const CleanFiles files(o.annotation);
  require_file(files.partial, json_mark(kCleanPartial));
  require_file(files.summary, json_mark(kCleanSummary));
  const CleanDigests made = read_digests(files.summary);
  require_named(files.annotation, made.annotation, files.summary);
  require_named(files.report, made.report, files.summary);
}

void require_steps(const std::string& folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("step_") && name.ends_with(".safetensors"))
      require_file(entry.path().string(), safetensors_mark());
  }
}

void require_replay(const Options& o) {
  require_file(o.trace, json_mark(kTraceFormat));
  if (!o.trace_state.empty()) require_steps(o.trace_state);
  if (!o.exp_dir.empty()) require_checkpoints(o.exp_dir, o.checkpoint_format, o.resume);
}

void require_run(const Options& o) {
  if (!o.json_log.empty()) require_log(o.json_log, log_mark());
  if (o.exp_dir.empty() || o.evaluate) return;
  std::error_code error;
  if (fs::exists(o.exp_dir, error) && !fs::is_directory(o.exp_dir, error)) refuse_target(o.exp_dir, "is no folder");
  if (o.json_log.empty()) require_log(o.exp_dir + "/metrics.jsonl", log_mark());
  require_log(o.exp_dir + "/not_finite.jsonl", {.begin = "{\"epoch\": "});
  if (o.resume != "auto") require_checkpoints(o.exp_dir, o.checkpoint_format, o.verb == Verb::train ? o.resume : "");
  require_file(o.exp_dir + "/model_best." + o.checkpoint_format, checkpoint_mark(o.checkpoint_format));
  if (o.verb == Verb::finetune) require_subset(o.exp_dir);
  if (!o.cache_features) return;
  for (const char* const list : {"train", "WebVision", "ImageNet"})
    require_file(o.exp_dir + "/features/" + list, json_mark(kFeaturesFormat));
}

}  // namespace

void require_subset(const std::string& folder) {
  const std::string path = folder + "/subset.txt", digest = folder + "/subset.sha256";
  std::ifstream in(digest, std::ios::binary);
  const std::string line{std::istreambuf_iterator<char>(in), {}};
  const std::string name = "  subset.txt\n";
  const bool ours = line.size() == 64 + name.size() && line.ends_with(name);
  if (!line.empty() && !ours) refuse_target(digest, "exists, and is no digest that moproc wrote");
  require_file(digest, checked_mark());
  require_named(path, ours ? line.substr(0, 64) : "", digest);
}

void require_targets(const Options& o) {
  if (o.verb == Verb::clean) return require_clean(o);
  if (o.verb == Verb::lowshot) {
    require_file(o.output, json_mark(kLowshotFormat));
    return require_file(o.output + ".features", json_mark(kFeaturesFormat));
  }
  if (o.dump_step && !o.dump.empty()) require_file(o.dump + "/" + step_file(*o.dump_step), safetensors_mark());
  if (!o.replay.empty()) require_replay(o);
  else require_run(o);
}

}  // namespace moproc::train
