// Batches of decoded, augmented pictures, made ahead by worker threads and handed out in order.
//
//   Dataset train = read_webvision(folder, Split::train, {});
//   Loader loader(train, {.batch = 256, .threads = 8, .seed = 1, .epochs = 90});
//   while (const Batch* batch = loader.next()) { use(*batch); loader.release(); }
//
// What a batch holds is a function of the dataset's files, the options and the batch's place alone: not of
// threads, nor of where the run was started. Training visits epoch_order(seed, epoch) and drops an epoch's
// last incomplete batch; evaluation visits the list in its own order and keeps it.
//
// A file that cannot be decoded is reported once, counted, and never used. In training its place is taken by
// the first readable sample after it in the epoch's order (from the end on to the beginning), with that
// sample's own draws; in evaluation it is left out: its batch is shorter, the samples behind it move up.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "augment.h"
#include "dataset.h"

namespace moproc::data {

// A file the loader had to do without.
struct Broken {
  std::size_t sample;  // index in the dataset
  std::string name;    // path below the dataset's folder
  std::string reason;
};

enum class Mode { training, evaluation };

struct LoaderOptions {
  Mode mode = Mode::training;
  int batch = 256;  // samples of a whole batch, over all ranks
  int rank = 0;     // this loader makes samples [rank * batch / ranks, (rank + 1) * batch / ranks) of it
  int ranks = 1;    // a divisor of batch
  int threads = 0;  // 0: as many as the machine has
  int slots = 3;    // batches made ahead or in the caller's hands, at least 1
  std::uint64_t seed = 0;
  std::uint32_t start_epoch = 0;
  std::uint64_t start_batch = 0;  // of start_epoch; batches_per_epoch() means the start of the next one
  std::uint32_t epochs = 1;       // up to epoch start_epoch + epochs; evaluation makes one pass
  bool strong = true;             // training: also the strong view
  // Training: the images that an epoch visits, as many as the dataset has or fewer, in place of epoch_order(). A sample
  // may come more than once: draws are then those of the place in the epoch.
  std::function<std::vector<std::uint32_t>(std::uint32_t epoch)> order;
  std::uint64_t visits = 0;  // length of each `order`
  // Training with several ranks: which place of the whole batch each place's strong view shows, of all ranks' places;
  // empty: its own. A rank's strong views are then those that it encodes as keys, which other ranks' weak views may
  // belong to.
  std::function<std::vector<std::int64_t>(std::uint32_t epoch, std::uint64_t index)> keys;
  AugmentOptions augment;
  DecodeLimits limits;
  // Called from worker threads, one call at a time, once a file. Empty: a line on stderr.
  std::function<void(const Broken&)> on_broken;
};

// One batch; valid until it is released. Arrays have room for `capacity` samples, of which `count` are there.
struct Batch {
  std::uint32_t epoch = 0;
  std::uint64_t index = 0;          // within the epoch
  int capacity = 0;                 // batch / ranks
  int count = 0;                    // training: capacity; evaluation: readable samples of this part, maybe 0
  std::uint8_t* img = nullptr;      // (capacity, size, size, 3): weak view, or the test transform; rest is 0
  std::uint8_t* img_aug = nullptr;  // (capacity, size, size, 3): strong view, or null
  std::int64_t* target = nullptr;   // (capacity): labels as listed
  std::int64_t* sample = nullptr;   // (capacity): indices in the dataset
};

class Loader {
 public:
  // Starts the threads. The dataset must outlive the loader.
  // Throws std::invalid_argument (options), DatasetError (fewer images than a training batch).
  Loader(const Dataset& dataset, LoaderOptions options);
  ~Loader();  // stops and joins the threads, whatever they are doing
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // The next batch in order, waiting for it; null after the last. Up to `slots` batches may be held at once.
  // Throws DatasetError when no file of the dataset can be read, and whatever ended a worker.
  const Batch* next();

  // Gives the oldest held batch's memory back.
  void release();

  std::uint64_t batches_per_epoch() const;
  std::size_t broken_count() const;
  std::vector<Broken> broken() const;  // in the order they were found
  double seconds_waited() const;       // in next(), by the caller

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace moproc::data
