// Where training batches come from: the loader, or images made up from a counter (--synthetic).
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

/// One step's data: this rank's part of it. Pointers are valid until the next call of next(). Images are of the type
/// that the program takes: bytes, but for programs compiled to take f32.
struct TrainBatch {
  int epoch = 0;
  int64_t index = 0;                // within the epoch
  const void* img = nullptr;        // (n, size, size, 3)
  const void* img_aug = nullptr;    // (n, size, size, 3)
  const int64_t* target = nullptr;  // (n)
  const int64_t* sample = nullptr;  // (n) indices in the list; null when there is no list
  const int64_t* order = nullptr;   // (n) permutation of the keys; null: drawn from seed and step
};

/// Batches in order: epoch after epoch, from the place it was made for.
class Source {
 public:
  virtual ~Source() = default;
  /// False after the last batch of the last epoch.
  virtual bool next(TrainBatch& batch) = 0;
  virtual int64_t batches_per_epoch() const = 0;
  virtual double seconds_waited() const = 0;
  virtual int64_t broken_count() const = 0;
};

/// The loader's options that the settings and the place in the run decide: epochs from `epoch` and `batch` of it to the
/// end, threads and augmentation. Batch, ranks, image size and order are the caller's.
data::LoaderOptions loader_options(const RunSettings& settings, uint64_t seed, int epoch, int64_t batch);

/// Wraps a loader in training mode.
std::unique_ptr<Source> make_loader_source(const data::Dataset& dataset, const data::LoaderOptions& options);

/// Rows of features instead of images, in the orders that `options` has (its batch, order, visits, epochs and start
/// count). A row that could not be computed is replaced as the loader replaces a broken file. All arguments must
/// outlive the source.
std::unique_ptr<Source> make_feature_source(const data::Dataset& dataset, const Features& features,
                                            const data::LoaderOptions& options);

struct SyntheticOptions {
  int64_t batch = 0, image_size = 0, num_class = 0;
  int64_t batches_per_epoch = 0;
  int start_epoch = 0, epochs = 1;  // epochs: up to start_epoch + epochs
  int64_t start_batch = 0;          // of start_epoch
  uint64_t seed = 0;
  bool repeat = false;  // the first batch again and again
  int rank = 0, ranks = 1;
  std::function<std::vector<int64_t>(uint32_t epoch, uint64_t index)> keys;  // as in data::LoaderOptions
};

/// Uniform random bytes and labels, a function of (seed, step over all epochs) alone.
std::unique_ptr<Source> make_synthetic_source(const SyntheticOptions& options);

}  // namespace moproc::train
