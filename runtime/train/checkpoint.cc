// Names, shapes and order of the tensors come from the plan.
#include "train/checkpoint.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <tuple>

#include "core/check.h"
#include "core/error.h"
#include "core/layout.h"
#include "core/meta.h"
#include "formats/checkpoint_file.h"
#include "formats/foreign_network.h"
#include "formats/output_file.h"
#include "formats/published.h"
#include "formats/published_names.h"
#include "formats/resnet_names.h"
#include "formats/torch_writer.h"
#include "session/state_file.h"

namespace moproc::train {

using namespace formats;

namespace {

/// The key behind "format" in the order of names, so that a long list leaves "format" at the file's beginning, where it
/// marks the file as ours.
constexpr const char* kLabelNames = "label_names";
constexpr const char *kValSplit = "val_split", *kValSplitSeed = "val_split_seed", *kHeldOut = "val_split_digest";

std::string show(double v) {
  std::string text;
  write_json(text, v);
  return text;
}

Metadata metadata_of(const Plan& plan, const CheckpointInfo& i, const RunRecord& record) {
  Metadata m{{"format", kRunFormat},
             {"verb", record.verb},
             {"run", i.run},
             {"task", meta(plan, "task")},
             {"arch", meta(plan, "arch")},
             {"num_class", meta(plan, "num_class")},
             {"groups", meta(plan, "groups")},
             {"epoch", std::to_string(i.at.epoch)},
             {"step", std::to_string(i.at.step)},
             {"samples", std::to_string(i.at.samples)},
             {"steps_done", std::to_string(i.at.steps)},
             {"global_batch", std::to_string(i.global_batch)},
             {"seed", std::to_string(i.seed)},
             {"data_digest", i.data_digest},
             {"plan_digest", i.plan_digest},
             {"meters", i.at.meters.to_json()},
             {"health", i.at.health.to_json()},
             {"best_top1", show(i.at.best)},
             {"best_epoch", std::to_string(i.at.best_epoch)}};
  if (!i.label_names.empty()) m[kLabelNames] = i.label_names;
  if (i.hold_out.holds()) {
    m[kValSplit] = show(*i.hold_out.share);
    m[kValSplitSeed] = std::to_string(*i.hold_out.seed);
    m[kHeldOut] = i.held_out_digest;
  }
  for (const Recorded& r : record.values)
    if (!r.key.empty() && !r.value.empty()) m[r.key] = r.value;
  // A plain classifier has no low_dim, a run in f32 no precision.
  for (const char* const key :
       {"width", "low_dim", "image_size", "precision", "onnx_sha256", "onnx_settings", "decay_params", "dropout"})
    if (const std::string value = meta(plan, key); !value.empty()) m[key] = value;
  return m;
}

/// The place of the metadata in a checkpoint of this kind, for messages.
const char* metadata_place(const Checkpoint& c) {
  return c.kind == CheckpointKind::safetensors ? "__metadata__" : "moproc";
}

const std::string& field(const Checkpoint& c, const char* key) {
  const auto found = c.metadata.find(key);
  if (found == c.metadata.end()) throw InputError(c.path + ": " + metadata_place(c) + " has no " + key);
  return found->second;
}

template <class T>
T number(const Checkpoint& c, const char* key) {
  const std::string& text = field(c, key);
  T v{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || v < T{})
    throw InputError(c.path + ": " + metadata_place(c) + "." + key + " is " + in_quotes(text));
  return v;
}

/// Reads the metadata that only a run of ours writes.
void read_run(const Checkpoint& c, CheckpointInfo& info) {
  info.at.epoch = number<int>(c, "epoch");
  info.at.step = number<int64_t>(c, "step");
  info.at.samples = number<int64_t>(c, "samples");
  info.at.meters = Meters::from_json(parse_json(field(c, "meters"), c.path + ": meters"), c.path);
  if (const auto health = c.metadata.find("health"); health != c.metadata.end())
    info.at.health =
        Health::from_json(parse_json(health->second, c.path + ": health"), c.path);  // older files have none
  if (const auto best = c.metadata.find("best_top1"); best != c.metadata.end())
    info.at.best = std::strtod(best->second.c_str(), nullptr);
  if (const auto epoch = c.metadata.find("best_epoch"); epoch != c.metadata.end())
    info.at.best_epoch = static_cast<int>(std::strtol(epoch->second.c_str(), nullptr, 10));
  info.seed = number<uint64_t>(c, "seed");
  info.global_batch = number<int64_t>(c, "global_batch");
  info.at.steps = c.metadata.contains("steps_done") ? number<int64_t>(c, "steps_done")  // older files have none
                                                    : info.at.samples / std::max<int64_t>(1, info.global_batch);
  info.data_digest = field(c, "data_digest");
  info.plan_digest = field(c, "plan_digest");
  if (const auto run = c.metadata.find("run"); run != c.metadata.end()) info.run = run->second;
  info.settings = {c.metadata.begin(), c.metadata.end()};
}

void read_foreign(const Checkpoint& c, CheckpointInfo& info) {
  info.of_run = false;
  info.knows_epoch = c.metadata.count("epoch") > 0;
  if (info.knows_epoch) info.at.epoch = number<int>(c, "epoch");
  info.notes.push_back(c.path + " is a " + show_kind(c.kind) + " that does not know its seed, data and batch" +
                       (info.knows_epoch ? "" : ", nor its epoch"));
  for (std::string& note : c.said()) info.notes.push_back(std::move(note));
}

std::string written_optimizer(const Checkpoint& c) {
  const auto found = c.metadata.find("optimizer");
  return found == c.metadata.end() ? "sgd" : found->second;  // older files have none
}

/// Throws InputError, saying what is missing, if training cannot continue with the momentum in the file.
void check_optimizer(const Checkpoint& c, const Session& session) {
  constexpr const char* kRemedy = "; --reset-optimizer continues with zero momentum";
  if (const std::string was = written_optimizer(c), is = optimizer_of(session.plan()); c.of_run() && was != is)
    throw InputError(c.path + ": optimizer: is that of --optimizer " + was + ", but this run trains by " + is +
                     "; --optimizer " + was +
                     " continues with it, --reset-optimizer --accept-changes begins with a new one");
  if (!c.optimizer_fault.empty()) throw InputError(c.path + ": optimizer: " + c.optimizer_fault + kRemedy);
  if (c.momentum.empty() || c.has_whole_state()) return;
  size_t wanted = 0, lacking = 0;
  std::string first;
  for (const int t : saved_tensors(session.plan())) {
    const std::string_view of = behind(kMomentumPrefix, session.info(t).name);
    if (of.empty()) continue;
    ++wanted;
    if (c.find(c.momentum, std::string(of))) continue;
    if (lacking++ == 0) first = of;
  }
  if (lacking > 0)
    throw InputError(c.path + ": optimizer: has no momentum for " + std::to_string(lacking) + " of " +
                     std::to_string(wanted) + " parameters, such as " + first + kRemedy);
}

/// Throws InputError if the artefact has the state of MoPro and the file holds a single network.
void check_task(const Checkpoint& c, const Session& session) {
  constexpr std::string_view kOfMopro = "prototypes";  // which no single network has
  const bool mopro =
      std::ranges::any_of(saved_tensors(session.plan()), [&](int t) { return session.info(t).name == kOfMopro; });
  const bool single = naming_of(c) == Naming::torchvision || !c.find(c.tensors, std::string(kOfMopro));
  if (mopro && single)
    throw InputError(
        c.path + ": holds a single network, not the state of MoPro (two encoders, queue, prototypes), which " +
        "train and clean need; retrain, finetune, lowshot, predict, export and convert can read it, and what "
        "`moproc export --keep-bn` writes of it begins a run: moproc train MODEL.onnx");
}

/// Throws InputError if the file's classifier has another number of classes than the artefact.
void check_classes(const Checkpoint& c, const Session& session) {
  for (const char* const name :
       {"encoder_q.moproc.classifier.weight", "encoder_q.classifier.weight", "moproc.fc.weight", "fc.weight"}) {
    const Tensor* const have = c.find(c.tensors, name);
    if (!have || have->shape.empty()) continue;
    for (const int t : saved_tensors(session.plan())) {
      const TensorInfo& want = session.info(t);
      if (want.name == std::string_view(name) && want.shape[0] != have->shape[0])
        throw InputError(c.path + ": its classifier has " + std::to_string(have->shape[0]) + " classes (" + name + " " +
                         show_type(*have) + "), " + std::to_string(want.shape[0]) + " are wanted (" + show_type(want) +
                         "): give --num-class " + std::to_string(have->shape[0]) +
                         "; finetune --init-classifier reset trains its network with a new classifier");
    }
  }
}

/// A tensor of a snapshot.
Tensor tensor_of(const Snapshot& s, size_t i) {
  const TensorInfo& info = s.plan->tensors[s.tensors[i]];
  return row_major_tensor(info.dtype, {info.shape, info.shape + info.rank}, s.bytes[i]);
}

void write_published(const Snapshot& s, const std::string& path) {
  Checkpoint c;
  c.path = path;
  c.metadata = s.metadata;
  for (size_t i = 0; i < s.tensors.size(); ++i) {
    const std::string_view name = s.plan->tensors[s.tensors[i]].name, of = behind(kMomentumPrefix, name);
    if (of.empty()) c.tensors.push_back({std::string(name), tensor_of(s, i)});
    else c.momentum.push_back({std::string(of), tensor_of(s, i)});
  }
  write_torch(path, to_published(c));
}

/// The progress of a run, for comparison: epoch, whether the epoch ended, steps of it.
using Rank = std::tuple<int64_t, bool, int64_t>;

/// The progress that a checkpoint's name states; nothing for any other name.
std::optional<Rank> rank_of(const std::string& name) {
  constexpr std::string_view prefix = "checkpoint_";
  size_t suffix = 0;
  for (const std::string_view s : {".safetensors", ".pth.tar"})
    if (name.ends_with(s)) suffix = s.size();
  if (!name.starts_with(prefix) || suffix == 0) return std::nullopt;
  const char* const end = name.data() + name.size() - suffix;
  int64_t epoch = 0, step = 0;
  const auto [after, error] = std::from_chars(name.data() + prefix.size(), end, epoch);
  if (error != std::errc() || epoch < 0) return std::nullopt;
  if (after == end) return Rank{epoch, true, 0};
  const auto [last, bad] = std::from_chars(after + 1, end, step);
  if (*after != '_' || bad != std::errc() || last != end || step < 0) return std::nullopt;
  return Rank{epoch, false, step};
}

}  // namespace

std::string optimizer_of(const Plan& plan) {
  const std::string named = meta(plan, "optimizer");
  return named.empty() ? "sgd" : named;
}

std::string checkpoint_name(int epoch, std::optional<int64_t> step, const std::string& format) {
  char name[64];
  if (step) std::snprintf(name, sizeof name, "checkpoint_%04d_%06lld.", epoch, static_cast<long long>(*step));
  else std::snprintf(name, sizeof name, "checkpoint_%04d.", epoch);
  return name + format;
}

std::vector<FoundCheckpoint> checkpoints_in(const std::string& folder) {
  std::vector<std::pair<Rank, std::string>> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error))
    if (const std::optional<Rank> rank = rank_of(entry.path().filename().string()))
      found.emplace_back(*rank, entry.path().string());
  std::sort(found.rbegin(), found.rend());
  std::vector<FoundCheckpoint> checkpoints;
  for (auto& [rank, path] : found) checkpoints.push_back({std::move(path), std::get<1>(rank), std::get<0>(rank)});
  return checkpoints;
}

bool is_checkpoint_name(const std::string& name) {
  return name == "model_best.safetensors" || name == "model_best.pth.tar" || rank_of(name).has_value();
}

Mark checkpoint_mark(const std::string& format) { return format == "pth.tar" ? torch_mark() : safetensors_mark(); }

bool is_own_checkpoint(const std::string& path) {
  return is_own_file(path, checkpoint_mark(path.ends_with(".pth.tar") ? "pth.tar" : "safetensors"));
}

void require_checkpoints(const std::string& folder, const std::string& format, const std::string& from) {
  const std::optional<Rank> begin = rank_of(std::filesystem::path(from).filename().string());
  for (const FoundCheckpoint& c : checkpoints_in(folder)) {
    const std::optional<Rank> rank = rank_of(std::filesystem::path(c.path).filename().string());
    const bool ahead = !begin || *rank > *begin;
    if (ahead && c.path.ends_with("." + format)) require_file(c.path, checkpoint_mark(format));
  }
}

namespace {

std::filesystem::path last_link(const std::string& folder, const std::string& format) {
  return std::filesystem::path(folder) / ("last." + format);
}

/// Whether nothing is there, or a link to a checkpoint beside it.
bool may_be_last(const std::filesystem::path& link) {
  std::error_code error;
  const auto status = std::filesystem::symlink_status(link, error);
  if (!std::filesystem::exists(status)) return true;
  const auto target = std::filesystem::read_symlink(link, error);
  return !error && !target.has_parent_path() && is_checkpoint_name(target.string());
}

}  // namespace

void require_last(const std::string& folder, const std::string& format) {
  const auto link = last_link(folder, format);
  if (!may_be_last(link)) refuse_target(link.string(), "exists, and is not moproc's link to the newest checkpoint");
}

void point_last_to(const std::string& checkpoint) {
  const std::filesystem::path path(checkpoint);
  const auto link =
      last_link(path.parent_path().string(), checkpoint.ends_with(".pth.tar") ? "pth.tar" : "safetensors");
  if (!may_be_last(link)) return;
  std::error_code error;
  const std::string fresh = temporary_name(link.string());
  std::filesystem::create_symlink(path.filename(), fresh, error);
  if (!error) std::filesystem::rename(fresh, link, error);
}

std::string newest_checkpoint(const std::string& folder) {
  const std::vector<FoundCheckpoint> all = checkpoints_in(folder);
  return all.empty() ? "" : all.front().path;
}

std::string newest_whole_checkpoint(const std::string& folder, std::vector<std::string>& notes) {
  for (const FoundCheckpoint& c : checkpoints_in(folder)) {
    try {
      open_checkpoint(c.path);
      return c.path;
    } catch (const InputError& e) {
      notes.push_back(std::string(e.what()) + "; the one before it is taken");
    }
  }
  return "";
}

void take_snapshot(const Session& session, const CheckpointInfo& info, const RunRecord& record,
                   const std::string& format, Snapshot& to) {
  to.plan = &session.plan();
  to.metadata = metadata_of(session.plan(), info, record);
  to.published = format == "pth.tar";
  to.tensors = saved_tensors(session.plan());
  to.bytes.resize(to.tensors.size());
  for (size_t i = 0; i < to.tensors.size(); ++i) {
    to.bytes[i].resize(static_cast<size_t>(session.info(to.tensors[i]).bytes));
    session.get(to.tensors[i], to.bytes[i]);
  }
}

std::string first_nonfinite(const Snapshot& s) {
  for (size_t i = 0; i < s.tensors.size(); ++i)
    if (moproc::first_nonfinite(s.plan->tensors[s.tensors[i]], s.bytes[i].data()) >= 0)
      return std::string(s.plan->tensors[s.tensors[i]].name) + " holds a NaN or infinity";
  return "";
}

void write_snapshot(const Snapshot& s, const std::string& path) {
  if (s.published) return write_published(s, path);
  std::vector<NamedTensor> tensors;
  for (size_t i = 0; i < s.tensors.size(); ++i)
    tensors.push_back({s.plan->tensors[s.tensors[i]].name, tensor_of(s, i)});
  write_safetensors(path, tensors, s.metadata);
}

void save_checkpoint(const std::string& path, const Session& session, const CheckpointInfo& info,
                     const RunRecord& record, const std::string& format) {
  Snapshot s;
  take_snapshot(session, info, record, format, s);
  write_snapshot(s, path);
}

DataOfRun data_of_run(const std::string& path) {
  Checkpoint c;
  // The header of a safetensors file is enough, and its data can be large.
  if (formats::is_own_file(path, safetensors_mark())) c.path = path, c.metadata = SafetensorsFile(path).metadata();
  else c = open_checkpoint(path);
  DataOfRun data;
  if (const auto names = c.metadata.find(kLabelNames); names != c.metadata.end())
    data.classes = data::ClassTable::parse(names->second, path + ": label_names");
  if (c.metadata.contains(kValSplit))
    data.hold_out = {number<double>(c, kValSplit), number<uint64_t>(c, kValSplitSeed)};
  if (const auto digest = c.metadata.find(kHeldOut); digest != c.metadata.end()) data.held_out_digest = digest->second;
  data.metadata = {c.metadata.begin(), c.metadata.end()};
  return data;
}

CheckpointInfo load_checkpoint(const std::string& path, Session& session, Optimizer optimizer) {
  Checkpoint c = open_network(path);
  if (c.kind == CheckpointKind::safetensors && !c.of_moproc() && !c.momentum.empty())
    throw InputError(path + ": its format is " + in_quotes(field(c, "format")) + ", not " + kRunFormat);
  const bool renames = meta(session.plan(), "task") != "mopro" && !c.has_whole_state();  // moproc convert did
  const Naming naming = naming_of(c);
  if (naming == Naming::detectron2 || (naming == Naming::mopro && renames)) c = query_encoder(c);
  CheckpointInfo info;
  if (c.of_run()) read_run(c, info);
  else read_foreign(c, info);
  check_task(c, session);
  check_classes(c, session);
  if (optimizer == Optimizer::needed) check_optimizer(c, session);
  for (std::string& note : set_state(c, session, optimizer != Optimizer::needed)) info.notes.push_back(std::move(note));
  if (optimizer == Optimizer::reset) info.notes.push_back(path + ": all momentum begins with zero (--reset-optimizer)");
  return info;
}

}  // namespace moproc::train
