#include "train/continuation.h"

#include <string_view>
#include <vector>

#include "core/error.h"
#include "log/console.h"

namespace moproc::train {
namespace {

class Differences {
 public:
  void add(std::string& list, const std::string& what, const std::string& was, const std::string& is) {
    if (was == is) return;
    list += (list.empty() ? "" : ", ") + what + " " + (was.empty() ? "off" : was) + " -> " + (is.empty() ? "off" : is);
  }
  std::string order;       // what the order of samples follows from
  std::string meaning;     // other settings that change what is learned
  std::string adjustable;  // settings that may change
};

}  // namespace

std::string differences(const CheckpointInfo& info, const std::string& path, const RunSettings& settings,
                        const Continuing& run) {
  Differences d;
  constexpr std::string_view kNoneYet = "none yet";  // a state that `moproc export --training` made for a new run
  if (info.data_digest != kNoneYet) d.add(d.order, "training list", info.data_digest, run.data_digest);
  d.add(d.order, "global batch", std::to_string(info.global_batch), std::to_string(run.global_batch));
  d.add(d.order, "seed", std::to_string(info.seed), std::to_string(run.seed));
  const auto was = [&](const char* key) {
    const auto found = info.settings.find(key);
    return found == info.settings.end() ? std::string() : found->second;
  };
  d.add(d.meaning, "BatchNorm groups", was("groups"), std::to_string(run.groups));
  const auto named = [](const std::string& precision) { return precision.empty() ? "f32" : precision; };
  d.add(d.meaning, "--dropout", was("dropout"), run.dropout);
  d.add(d.adjustable, "--decay-params", was("decay_params"), run.decay_params);
  d.add(d.adjustable, "--precision", named(was("precision")), named(run.precision));
  for (const Recorded& r : settings.record.values) {
    // A file's path may differ between machines; a value that the checkpoint lacks is of a newer version.
    const bool counts = r.agreed && (r.task.empty() || r.task == run.task) && info.settings.contains(r.key);
    if (counts) d.add(r.adjustable ? d.adjustable : d.meaning, r.flag, was(r.key.c_str()), r.value);
  }
  if (info.at.step > 0 && !d.order.empty())
    throw InputError(path + ": was written within epoch " + std::to_string(info.at.epoch) +
                     ", and its position in the epoch has no meaning with another " + d.order);
  const auto joined = [](const std::string& a, const std::string& b) {
    return a + (a.empty() || b.empty() ? "" : ", ") + b;
  };
  const std::string needs = joined(d.order, d.meaning);
  if (!needs.empty() && !settings.accept_changes)
    throw InputError(path + ": was made with other settings: " + needs +
                     ". Give the same flags as then; or --accept-changes, to continue with those of now; or another " +
                     "--exp-dir without --resume, to start anew");
  std::string note = joined(needs, d.adjustable);
  if (info.plan_digest != run.plan_digest)
    note = joined(note, "another build (the run continues, but its bits may differ)");
  return note;
}

}  // namespace moproc::train
