#include "train/targets.h"

#include <filesystem>

#include "core/error.h"
#include "formats/own_file.h"
#include "formats/sha256.h"
#include "train/checkpoint.h"
#include "train/class_results.h"
#include "train/dump.h"
#include "train/features.h"
#include "train/run_folder.h"
#include "train/written_list.h"

namespace moproc::train {

using namespace formats;
namespace fs = std::filesystem;

void require_named(const std::string& path, const std::string& sha256, const std::string& by) {
  require_file(path, checked_mark());  // refuses links and folders
  std::error_code error;
  if (!fs::exists(path, error) || fs::file_size(path, error) == 0 || file_sha256(path) == sha256) return;
  refuse_target(path, "exists, and " + by + " does not name it as written by moproc");
}

void require_dump_target(const Dump& dump) {
  if (dump.step && !dump.folder.empty()) require_file(dump.folder + "/" + step_file(*dump.step), safetensors_mark());
}

void require_run_targets(const RunSettings& s, const std::string& from) {
  const std::string& folder = s.saving.exp_dir;
  require_dump_target(s.dump);
  if (!s.saving.json_log.empty()) require_place(s.saving.json_log), require_log(s.saving.json_log, log_mark());
  if (folder.empty() || s.evaluate) return;
  std::error_code error;
  if (fs::exists(folder, error) && !fs::is_directory(folder, error)) refuse_target(folder, "is not a folder");
  require_place_of_folder(folder);
  if (s.saving.json_log.empty()) require_log(folder + "/metrics.jsonl", log_mark());
  require_log(folder + "/not_finite.jsonl", {.begin = "{\"epoch\": "});
  require_file(evaluation_file(folder), json_mark(kEvaluationFormat));
  if (s.resume != "auto") require_checkpoints(folder, s.saving.format, from);
  require_own_folder(s);
  require_last(folder, s.saving.format);
  require_list(folder, kHeldOutList);
  require_file(folder + "/model_best." + s.saving.format, checkpoint_mark(s.saving.format));
  if (!s.cache_features) return;
  for (const char* const list : {"train", "WebVision", "ImageNet"})
    require_file(folder + "/features/" + list, json_mark(kFeaturesFormat));
}

}  // namespace moproc::train
