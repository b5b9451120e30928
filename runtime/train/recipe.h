// Hyperparameters that fit the length of a run, by the formula in docs/recipe.md. The published values are made for
// about 900,000 steps on 2.4 million images; a run that is a thousand times shorter needs others.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace moproc::train {

/// How long a run is.
struct RunSize {
  int64_t steps = 0;             // of an epoch
  int epochs = 0;                // of the run
  int64_t batch = 0;             // images of a step, of all ranks
  int64_t images_per_class = 0;  // the median over the classes that have images; 0: not known
};

struct Recipe {
  double moco_m, proto_m, lr;
  int start_clean_epoch;
};

/// The values for a run of this size. None is larger than the published one, and a run of WebVision's size (9,535 steps
/// of 256 images, 90 epochs, 2,440 images per class) gets the published ones: 0.999, 0.999, 0.1 and epoch 11.
Recipe recipe_for(const RunSize& size);

/// The settings of a run that its size should decide.
struct Tunable {
  RunSize size;
  double moco_m = 0, proto_m = 0, lr = 0, pseudo_th = 0;
  int start_clean_epoch = 0;
};

/// What of a run of MoPro does not fit its size, a sentence each with a value that would fit. `keys`: that the queue
/// holds; `images`: of the training list.
std::vector<std::string> unfit_for(const Tunable& run, int64_t keys, uint64_t images);

/// The momentum with which a moving average that begins as the first of `values` values gives it the weight `share`
/// after the last one: share^(1 / (values - 1)); 0 for fewer than two values.
double momentum_for(double share, int64_t values);

}  // namespace moproc::train
