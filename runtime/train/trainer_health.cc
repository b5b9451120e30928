// What the trainer says about the health of a run: before its first step, and after each epoch.
#include <algorithm>
#include <cmath>

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

}  // namespace

/// Prints a note if prototypes depend too much on one image. A prototype begins as the embedding of its class's first
/// image, which after n images still has the weight proto_m^(n - 1).
void Trainer::warn_of_prototypes() {
  if (!lists_.train || !session_.has_program("proto")) return;
  const int64_t images = images_per_class(*lists_.train);
  const double m = settings_.hyper.proto_m, share = std::pow(m, static_cast<double>(images - 1));
  constexpr double kMuch = 0.5, kLittle = 0.1;
  if (share <= kMuch) return;
  console_.line(format(
      "note: --proto_m %g: after epoch 0 the prototype of a class of %lld images (the median here) is still %.0f %% "
      "its first image; %.4f would make that %.0f %%",
      m, static_cast<long long>(images), 100 * share, momentum_for(kLittle, images), 100 * kLittle));
}

Tunable Trainer::tunable() const {
  const Hyper& h = settings_.hyper;
  return {{batches_, settings_.schedule.epochs, runner_->batch(), lists_.train ? images_per_class(*lists_.train) : 0},
          h.moco_m,
          h.proto_m,
          h.lr,
          h.pseudo_th,
          settings_.start_clean_epoch};
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
