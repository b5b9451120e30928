// The formula is explained, and measured, in docs/recipe.md.
#include "train/recipe.h"

#include <algorithm>
#include <cmath>

#include "log/console.h"

namespace moproc::train {
namespace {

constexpr double kPublishedMomentum = 0.999;  // of the key encoder and of the prototypes
constexpr double kPublishedRate = 0.1, kPublishedBatch = 256;
constexpr double kPublishedStart = 11, kPublishedEpochs = 90;
/// The key encoder remembers a tenth of the run: with more, it stays near the random weights that it begins with.
constexpr double kMemory = 0.1;
constexpr double kLeastMomentum = 0.9;  // with less, the keys of a queue come from networks that differ too much
constexpr double kFirstImage = 0.1;     // weight of a class's first image in its prototype after an epoch
/// Steps before labels are corrected: below that, classifier and prototypes are little better than chance.
constexpr double kStepsBeforeCleaning = 2000;
constexpr double kMuchOfFirstImage = 0.5;    // of a prototype, after epoch 0
constexpr double kMuchOfFirstWeights = 0.1;  // of the key encoder, after the run

}  // namespace

double momentum_for(double share, int64_t values) {
  return values > 1 ? std::pow(share, 1.0 / static_cast<double>(values - 1)) : 0.0;
}

Recipe recipe_for(const RunSize& size) {
  const double steps = static_cast<double>(std::max<int64_t>(1, size.steps)), epochs = size.epochs;
  Recipe r{};
  r.moco_m = std::clamp(1 - 1 / std::max(1.0, kMemory * steps * epochs), kLeastMomentum, kPublishedMomentum);
  r.proto_m = size.images_per_class == 0
                  ? kPublishedMomentum
                  : std::min(momentum_for(kFirstImage, size.images_per_class), kPublishedMomentum);
  r.lr = kPublishedRate * std::min(1.0, std::sqrt(static_cast<double>(size.batch) / kPublishedBatch));
  const double earliest = std::round(epochs * kPublishedStart / kPublishedEpochs), latest = std::round(epochs / 2);
  r.start_clean_epoch =
      static_cast<int>(std::max(1.0, std::clamp(std::ceil(kStepsBeforeCleaning / steps), earliest, latest)));
  return r;
}

std::vector<std::string> unfit_for(const Tunable& run, int64_t keys, uint64_t images) {
  std::vector<std::string> unfit;
  const Recipe fit = recipe_for(run.size);
  const int64_t in_class = run.size.images_per_class, steps = run.size.steps * run.size.epochs;
  if (const double share = std::pow(run.proto_m, static_cast<double>(in_class - 1)); share > kMuchOfFirstImage)
    unfit.push_back(
        format("--proto_m %g: after epoch 0 the prototype of a class of %lld images (the median here) is "
               "still %.0f %% its first image; %.4f would make that %.0f %%",
               run.proto_m, static_cast<long long>(in_class), 100 * share, fit.proto_m, 100 * kFirstImage));
  if (const double share = std::pow(run.moco_m, static_cast<double>(steps)); share > kMuchOfFirstWeights)
    unfit.push_back(
        format("--moco_m %g: after all %lld steps the key encoder still consists to %.0f %% of the weights "
               "that it began with; %.4f lets it forget them within a third of the run",
               run.moco_m, static_cast<long long>(steps), 100 * share, fit.moco_m));
  if (run.start_clean_epoch >= run.size.epochs)
    unfit.push_back(format("--start_clean_epoch %d: in %d epochs no label is corrected; %d would begin in time",
                           run.start_clean_epoch, run.size.epochs, fit.start_clean_epoch));
  if (keys > 0 && static_cast<uint64_t>(keys) > images)
    unfit.push_back(
        format("the queue of %lld keys holds %.1f of each of the %llu images, so that a query is compared "
               "with its own image as if that were another; --moco_queue of half of the images would fit",
               static_cast<long long>(keys), static_cast<double>(keys) / static_cast<double>(images),
               static_cast<unsigned long long>(images)));
  return unfit;
}

}  // namespace moproc::train
