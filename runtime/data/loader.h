// Batches of decoded, augmented pictures. Worker threads make them ahead; next() returns them in order.
//
//   Dataset train = read_webvision(folder, Split::train, {});
//   Loader loader(train, {.batch = 256, .threads = 8, .seed = 1, .epochs = 90});
//   while (const Batch* batch = loader.next()) { use(*batch); loader.release(); }
//
// The contents of a batch depend only on the dataset's files, the options and the position of the batch: not on the
// number of threads, nor on where the run was started. Training visits epoch_order(seed, epoch) and drops the last
// incomplete batch of an epoch; evaluation visits the list in its own order and keeps that batch.
//
// A file that cannot be decoded is reported once, counted, and never used. In training the first readable sample after
// it in the epoch's order (after the last comes the first) takes its place, with its own draws. In evaluation the file
// is left out: the samples behind it move up within the batch, which becomes shorter.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "augment.h"
#include "dataset.h"

namespace moproc::data {

// A file that could not be used.
struct Broken {
  std::size_t sample;  // index in the dataset
  std::string name;    // path below the dataset's folder
  std::string reason;
  std::string kind;  // a picture of a format that is not read: "TIFF"; otherwise empty
};

enum class Mode { training, evaluation };

struct LoaderOptions {
  Mode mode = Mode::training;
  int batch = 256;  // samples of a whole batch, of all ranks together
  int rank = 0;     // this loader makes samples [rank * batch / ranks, (rank + 1) * batch / ranks)
  int ranks = 1;    // a divisor of batch
  int threads = 0;  // 0: as many as the machine has cores
  int slots = 3;    // batches that are made ahead or held by the caller, at least 1
  std::uint64_t seed = 0;
  std::uint32_t start_epoch = 0;
  std::uint64_t start_batch = 0;  // of start_epoch; batches_per_epoch() means the start of the next one
  std::uint32_t epochs = 1;       // ends before epoch start_epoch + epochs; evaluation makes one pass
  bool strong = true;             // training: make the strong view, too
  // Training: the images that an epoch visits, instead of epoch_order(); at most as many as the dataset has. A sample
  // may appear more than once, so draws are then those of the position in the epoch.
  std::function<std::vector<std::uint32_t>(std::uint32_t epoch)> order;
  std::uint64_t visits = 0;  // length of each `order`
  // Training with several ranks: for each position of the whole batch, the position whose image its strong view shows;
  // empty: its own. A rank then gets as strong views the images that it encodes as keys, even if their weak views are
  // on other ranks.
  std::function<std::vector<std::int64_t>(std::uint32_t epoch, std::uint64_t index)> keys;
  AugmentOptions augment;
  DecodeLimits limits;
  // Called once per file, from worker threads, one call at a time. Empty: the loader prints a line on stderr; of each
  // format that is not read only for the first file, and none if Dataset::told() has the format.
  std::function<void(const Broken&)> on_broken;
};

// One batch, valid until it is released. Arrays have room for `capacity` samples; the first `count` are filled.
struct Batch {
  std::uint32_t epoch = 0;
  std::uint64_t index = 0;          // within the epoch
  int capacity = 0;                 // batch / ranks
  int count = 0;                    // training: capacity; evaluation: readable samples of this part, possibly 0
  std::uint8_t* img = nullptr;      // (capacity, size, size, 3): weak view, or the test transform; unused rows are 0
  std::uint8_t* img_aug = nullptr;  // (capacity, size, size, 3): strong view, or null
  std::int64_t* target = nullptr;   // (capacity): labels from the list
  std::int64_t* sample = nullptr;   // (capacity): indices in the dataset
};

class Loader {
 public:
  // Starts the threads. The dataset must outlive the loader. Throws std::invalid_argument for wrong options, and
  // DatasetError if the dataset has fewer images than a training batch.
  Loader(const Dataset& dataset, LoaderOptions options);
  ~Loader();  // stops and joins the threads, also in the middle of a batch
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // Waits for the next batch in order and returns it; null after the last. The caller may hold up to `slots` batches.
  // Throws DatasetError if no file of the dataset can be read, and the exception that ended a worker.
  const Batch* next();

  // Releases the oldest batch that the caller holds.
  void release();

  std::uint64_t batches_per_epoch() const;
  std::size_t broken_count() const;
  std::vector<Broken> broken() const;  // in the order in which they were found
  double seconds_waited() const;       // by the caller, in next()

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace moproc::data
