// Sources of training batches: the loader, cached features, or random images (--synthetic).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/loader.h"
#include "train/features.h"
#include "train/settings.h"

namespace moproc::train {

/// This rank's part of the data of a step. Pointers are valid until the next call of next(). Images are bytes, except
/// if the program was compiled to take f32.
struct TrainBatch {
  int epoch = 0;
  int64_t index = 0;                // within the epoch
  const void* img = nullptr;        // (n, size, size, 3)
  const void* img_aug = nullptr;    // (n, size, size, 3)
  const int64_t* target = nullptr;  // (n)
  const int64_t* sample = nullptr;  // (n) indices in the list; null if there is no list
  const int64_t* order = nullptr;   // (whole batch) permutation of the keys; null: drawn from seed and step
};

/// Batches in order, epoch after epoch, from the given position.
class Source {
 public:
  virtual ~Source() = default;
  /// False after the last batch of the last epoch.
  virtual bool next(TrainBatch& batch) = 0;
  virtual int64_t batches_per_epoch() const = 0;
  virtual double seconds_waited() const = 0;
  virtual int64_t broken_count() const = 0;
};

/// The loader's options that follow from the settings and the position in the run: epochs (from batch `batch` of
/// `epoch` to the end), threads and augmentation. The caller sets batch, ranks, image size and order.
data::LoaderOptions loader_options(const RunSettings& settings, uint64_t seed, int epoch, int64_t batch);

/// Wraps a loader in training mode.
std::unique_ptr<Source> make_loader_source(const data::Dataset& dataset, const data::LoaderOptions& options);

/// Yields rows of features instead of images. Uses batch, order, visits, epochs and start of `options`. A row that
/// could not be computed is replaced as the loader replaces a broken file. All arguments must outlive the source.
std::unique_ptr<Source> make_feature_source(const data::Dataset& dataset, const Features& features,
                                            const data::LoaderOptions& options);

struct SyntheticOptions {
  int64_t batch = 0, image_size = 0, num_class = 0;
  int64_t batches_per_epoch = 0;
  int start_epoch = 0, epochs = 1;  // the last epoch is start_epoch + epochs - 1
  int64_t start_batch = 0;          // of start_epoch
  uint64_t seed = 0;
  bool repeat = false;  // yield the first batch each time
  int rank = 0, ranks = 1;
  std::function<std::vector<int64_t>(uint32_t epoch, uint64_t index)> keys;  // as in data::LoaderOptions
};

/// Yields uniform random bytes and labels, which depend only on the seed and the step over all epochs.
std::unique_ptr<Source> make_synthetic_source(const SyntheticOptions& options);

}  // namespace moproc::train
