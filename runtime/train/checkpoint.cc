// Names, shapes and order are the plan's; the metadata is written and read by one table each way.
#include "train/checkpoint.h"

#include <charconv>
#include <cstdio>
#include <filesystem>
#include <string_view>
#include <tuple>

#include "core/error.h"
#include "core/layout.h"
#include "train/flags.h"
#include "train/safetensors.h"
#include "train/sha256.h"

namespace moproc::train {
namespace {

constexpr const char* kFormat = "moproc-checkpoint-1";

std::string show(double v) {
  std::string text;
  write_json(text, v);
  return text;
}

std::string join(const std::vector<int>& values) {
  std::string text;
  for (const int v : values) text += (text.empty() ? "" : " ") + std::to_string(v);
  return text;
}

Metadata metadata_of(const Plan& plan, const CheckpointInfo& i, const Options& o) {
  Metadata m{{"format", kFormat},
             {"task", meta(plan, "task")},
             {"arch", meta(plan, "arch")},
             {"num_class", meta(plan, "num_class")},
             {"groups", meta(plan, "groups")},
             {"epoch", std::to_string(i.at.epoch)},
             {"step", std::to_string(i.at.step)},
             {"samples", std::to_string(i.at.samples)},
             {"global_batch", std::to_string(i.global_batch)},
             {"seed", std::to_string(i.seed)},
             {"data_digest", i.data_digest},
             {"plan_digest", i.plan_digest},
             {"meters", i.at.meters.to_json()},
             {"epochs", std::to_string(o.epochs)},
             {"schedule", o.cosine ? "cosine" : join(o.schedule)},
             {"start_clean_epoch", std::to_string(o.start_clean_epoch)}};
  const Hyper& h = o.hyper;
  const std::pair<const char*, double> hyper[] = {
      {"lr", h.lr},           {"momentum", h.momentum}, {"weight_decay", h.weight_decay},
      {"moco_m", h.moco_m},   {"proto_m", h.proto_m},   {"temperature", h.temperature},
      {"alpha", h.alpha},     {"w_inst", h.w_inst},     {"w_proto", h.w_proto},
      {"pseudo_th", h.pseudo_th},
  };
  for (const auto& [name, value] : hyper) m[name] = show(value);
  for (const char* const key : {"width", "low_dim", "image_size"})  // a plain classifier has no low_dim
    if (const std::string value = meta(plan, key); !value.empty()) m[key] = value;
  return m;
}

const std::string& field(const SafetensorsFile& file, const char* key) {
  const auto found = file.metadata().find(key);
  if (found == file.metadata().end()) throw InputError(file.path() + ": __metadata__ has no " + key);
  return found->second;
}

template <class T>
T number(const SafetensorsFile& file, const char* key) {
  const std::string& text = field(file, key);
  T v{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || v < T{})
    throw InputError(file.path() + ": __metadata__." + key + " is '" + text + "'");
  return v;
}

std::string show_entry(const TensorEntry& t) {
  std::string text = std::string(dtype_name(t.dtype)) + "[";
  for (size_t d = 0; d < t.shape.size(); ++d) text += (d ? "," : "") + std::to_string(t.shape[d]);
  return text + "]";
}

bool fits(const TensorEntry& t, const TensorInfo& want) {
  return t.dtype == want.dtype &&
         std::equal(t.shape.begin(), t.shape.end(), want.shape, want.shape + want.rank);
}

std::vector<int> saved_tensors(const Plan& plan) {
  std::vector<int> tensors;
  for (const StateInfo& s : plan.state)
    if (s.role != Role::derived) tensors.push_back(s.tensor);
  return tensors;
}

void check_tensors(const SafetensorsFile& file, const Session& session, const std::vector<int>& wanted) {
  for (const int t : wanted) {
    const TensorInfo& want = session.info(t);
    const TensorEntry* const have = file.find(want.name);
    if (!have) throw InputError(file.path() + ": tensor " + want.name + " is missing");
    if (!fits(*have, want))
      throw InputError(file.path() + ": tensor " + want.name + " is " + show_entry(*have) +
                       ", the artefact needs " + show_type(want));
  }
  if (file.tensors().size() == wanted.size()) return;
  for (const TensorEntry& have : file.tensors()) {
    bool known = false;
    for (const int t : wanted) known = known || have.name == session.info(t).name;
    if (!known) throw InputError(file.path() + ": the artefact has no tensor " + have.name);
  }
}

/// How far a run was: epoch, whether the epoch ended, steps of it.
using Rank = std::tuple<int64_t, bool, int64_t>;

/// The rank that a checkpoint's name gives it; nothing for any other name.
std::optional<Rank> rank_of(const std::string& name) {
  constexpr std::string_view prefix = "checkpoint_", suffix = ".safetensors";
  if (!name.starts_with(prefix) || !name.ends_with(suffix)) return std::nullopt;
  const char* const end = name.data() + name.size() - suffix.size();
  int64_t epoch = 0, step = 0;
  const auto [after, error] = std::from_chars(name.data() + prefix.size(), end, epoch);
  if (error != std::errc() || epoch < 0) return std::nullopt;
  if (after == end) return Rank{epoch, true, 0};
  const auto [last, bad] = std::from_chars(after + 1, end, step);
  if (*after != '_' || bad != std::errc() || last != end || step < 0) return std::nullopt;
  return Rank{epoch, false, step};
}

}  // namespace

std::string checkpoint_name(int epoch, std::optional<int64_t> step) {
  char name[64];
  if (step)
    std::snprintf(name, sizeof name, "checkpoint_%04d_%06lld.safetensors", epoch,
                  static_cast<long long>(*step));
  else std::snprintf(name, sizeof name, "checkpoint_%04d.safetensors", epoch);
  return name;
}

std::string newest_checkpoint(const std::string& folder) {
  std::optional<Rank> best;
  std::string path;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::optional<Rank> found = rank_of(entry.path().filename().string());
    if (found && (!best || *found > *best)) best = found, path = entry.path().string();
  }
  return path;
}

void save_checkpoint(const std::string& path, const Session& session, const CheckpointInfo& info,
                     const Options& options) {
  const std::vector<int> saved = saved_tensors(session.plan());
  std::vector<TensorEntry> entries;
  for (const int t : saved) {
    const TensorInfo& i = session.info(t);
    entries.push_back({i.name, i.dtype, std::vector<int64_t>(i.shape, i.shape + i.rank)});
  }
  write_safetensors(path, std::move(entries), metadata_of(session.plan(), info, options),
                    [&](size_t i, std::span<std::byte> bytes) { session.get(saved[i], bytes); });
}

CheckpointInfo load_checkpoint(const std::string& path, Session& session) {
  const SafetensorsFile file(path);
  if (field(file, "format") != kFormat)
    throw InputError(path + ": its format is '" + field(file, "format") + "', not " + kFormat);
  const std::vector<int> wanted = saved_tensors(session.plan());
  check_tensors(file, session, wanted);
  CheckpointInfo info;
  info.at.epoch = number<int>(file, "epoch");
  info.at.step = number<int64_t>(file, "step");
  info.at.samples = number<int64_t>(file, "samples");
  info.at.meters = Meters::from_json(parse_json(field(file, "meters"), path + ": meters"), path);
  info.seed = number<uint64_t>(file, "seed");
  info.global_batch = number<int64_t>(file, "global_batch");
  info.data_digest = field(file, "data_digest");
  info.plan_digest = field(file, "plan_digest");
  Sha256 sha;
  sha.add(file.data());
  if (sha.hex() != field(file, "sha256"))
    throw InputError(path + ": its data do not have the sha256 it names: the file is damaged");
  for (const int t : wanted) session.set(t, file.bytes(*file.find(session.info(t).name)));
  return info;
}

}  // namespace moproc::train
