// The formula is explained, and measured, in docs/recipe.md.
#include "train/recipe.h"

#include <algorithm>
#include <cmath>

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

}  // namespace moproc::train
