// What the trainer says about the health of a run: before its first step, and after each epoch.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <type_traits>

#include "comm/world.h"
#include "core/meta.h"
#include "train/health.h"
#include "train/supervisor.h"
#include "train/trainer.h"

namespace moproc::train {
namespace {

/// The median number of images of the classes that have some.
int64_t images_per_class(const data::Dataset& list) {
  std::vector<int64_t> counts(static_cast<size_t>(list.num_classes()));
  for (const int32_t c : list.labels()) ++counts[static_cast<size_t>(c)];
  std::erase(counts, 0);
  if (counts.empty()) return 0;
  std::nth_element(counts.begin(), counts.begin() + static_cast<std::ptrdiff_t>(counts.size() / 2), counts.end());
  return counts[counts.size() / 2];
}

/// Four digits behind the point, as people write such values.
double rounded(double v) { return std::round(v * 1e4) / 1e4; }

}  // namespace

/// How long the run is. Known once the lists are read.
RunSize Trainer::size() const {
  const int64_t batch = meta_number(session_.plan(), "batch");
  const uint64_t images = !lists_.train ? 0 : lists_.order ? lists_.visits : lists_.train->size();
  return {static_cast<int64_t>(images) / std::max<int64_t>(1, batch), settings_.schedule.epochs, batch,
          lists_.train ? images_per_class(*lists_.train) : 0};
}

/// Sets what --recipe auto decides, also in the run's record. A run that goes on has the values that it began with.
void Trainer::apply_recipe() {
  if (!lists_.train || settings_.evaluate) return;
  const Recipe fit = recipe_for(size());
  std::map<std::string, std::string> before;
  if (!start_checkpoint_.empty() && !network_only_) before = data_of_run(start_checkpoint_).metadata;
  std::string set;
  bool kept = false;
  for (Recorded& r : settings_.record.values) {
    const auto& given = settings_.recipe.given;
    if (std::find(given.begin(), given.end(), r.key) != given.end()) continue;
    if (!r.task.empty() && r.task != meta(session_.plan(), "task")) continue;
    const auto take = [&](auto& field, auto value) {
      const auto old = before.find(r.key);
      using T = std::remove_reference_t<decltype(field)>;
      if (old != before.end()) kept = true, value = static_cast<T>(std::strtod(old->second.c_str(), nullptr));
      field = value;
      r.value.clear();
      write_shortest(r.value, static_cast<double>(value));
      const std::string part = r.flag + " " + r.value;
      if (set.find(part) == std::string::npos) set += " " + part;
    };
    Hyper& h = settings_.hyper;
    if (r.key == "lr") take(h.lr, rounded(fit.lr));
    if (r.key == "moco_m") take(h.moco_m, rounded(fit.moco_m));
    if (r.key == "proto_m") take(h.proto_m, rounded(fit.proto_m));
    if (r.key == "start_clean_epoch" && r.flag == "--start_clean_epoch")
      take(settings_.start_clean_epoch, fit.start_clean_epoch);
  }
  for (Recorded& r : settings_.record.values)
    if (r.key == "start_clean_epoch") r.value = std::to_string(settings_.start_clean_epoch);
  console_.line(set.empty() ? "note: --recipe auto sets nothing: all of its values are given"
                            : "--recipe auto:" + set + (kept ? " (as the run began)" : ""));
}

/// Prints notes about settings of MoPro that do not fit the size of the run, and the values that would.
void Trainer::warn_of_size() {
  if (!lists_.train || !session_.has_program("proto")) return;
  const int queue = session_.find_tensor("queue");
  const int64_t keys = queue < 0 ? 0 : session_.info(queue).shape[1];
  const std::vector<std::string> unfit = unfit_for(tunable(), keys, lists_.train->size());
  for (const std::string& line : unfit) console_.line("note: " + line);
  if (unfit.empty() || settings_.record.verb != "train" || settings_.recipe.automatic) return;
  const Recipe fit = recipe_for(size());
  console_.line(
      format("note: for a run of %lld steps --recipe auto would use --lr %g --moco_m %g --proto_m %g "
             "--start_clean_epoch %d",
             static_cast<long long>(batches_ * settings_.schedule.epochs), rounded(fit.lr), rounded(fit.moco_m),
             rounded(fit.proto_m), fit.start_clean_epoch));
}

Tunable Trainer::tunable() const {
  const Hyper& h = settings_.hyper;
  return {size(), h.moco_m, h.proto_m, h.lr, h.pseudo_th, settings_.start_clean_epoch};
}

/// The mean cosine of the prototypes, which the first rank has right; nothing if the epoch corrected no labels by them.
std::optional<double> Trainer::prototype_cosine() const {
  const int tensor = session_.find_tensor("prototypes");
  if (tensor < 0 || at_.meters.samples == 0) return std::nullopt;
  const TensorInfo& info = session_.info(tensor);
  if (info.dtype != DType::f32 || info.rank != 2) return std::nullopt;
  std::vector<float> rows(static_cast<size_t>(info.shape[0] * info.shape[1]));
  session_.get(tensor, std::as_writable_bytes(std::span(rows)));
  return mean_cosine(rows, info.shape[1]);
}

/// Judges the epoch that has ended. The first rank decides for all. Images that are made up have no classes to learn.
void Trainer::check_health() {
  if (settings_.synthetic) return;
  if (first()) {
    const Meters& m = at_.meters;
    EpochNumbers e;
    e.epoch = at_.epoch;
    e.num_class = meta_number(session_.plan(), "num_class");
    e.labels = m.samples, e.corrected = m.corrected, e.dropped = m.dropped;
    e.largest = labels_.largest();
    const auto label = static_cast<size_t>(e.largest.label);
    if (e.largest.label >= 0 && label < lists_.classes.size()) e.largest_name = lists_.classes.name(label);
    if (const Meter& loss = m.loss_cls.any() ? m.loss_cls : m.loss; loss.any()) e.loss = loss.mean();
    e.accuracy = m.acc_cls.mean();
    e.guess = labels_.guess();
    e.top1 = top1_;
    e.prototypes = prototype_cosine();
    for (const HealthWarning& w : at_.health.judge(e, tunable())) report_->health(at_, w);
    collapsed_ = settings_.stop_on_collapse && at_.health.is_ill();
  }
  if (world_ && settings_.stop_on_collapse)
    collapsed_ = world_->from_first("health", collapsed_ ? "ill" : "well") == "ill";
  if (collapsed_)
    console_.line(format("--stop-on-collapse: the run ends after epoch %d, with exit code %d", at_.epoch, kCollapsed));
}

}  // namespace moproc::train
