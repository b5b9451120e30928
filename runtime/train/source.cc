// The sources of batches. The synthetic one takes only some milliseconds per batch, so it does not work ahead.
#include "train/source.h"

#include <algorithm>

#include "core/rng.h"

namespace moproc::train {
namespace {

class LoaderSource : public Source {
 public:
  LoaderSource(const data::Dataset& dataset, const data::LoaderOptions& options) : loader_(dataset, options) {}

  bool next(TrainBatch& batch) override {
    if (held_) loader_.release();
    const data::Batch* b = loader_.next();
    held_ = b != nullptr;
    if (!b) return false;
    batch = {
        static_cast<int>(b->epoch), static_cast<int64_t>(b->index), b->img, b->img_aug, b->target, b->sample, nullptr};
    return true;
  }
  int64_t batches_per_epoch() const override { return static_cast<int64_t>(loader_.batches_per_epoch()); }
  double seconds_waited() const override { return loader_.seconds_waited(); }
  int64_t broken_count() const override { return static_cast<int64_t>(loader_.broken_count()); }

 private:
  data::Loader loader_;
  bool held_ = false;
};

class FeatureSource : public Source {
 public:
  FeatureSource(const data::Dataset& dataset, const Features& features, const data::LoaderOptions& o)
      : data_(dataset), features_(features), o_(o), epoch_(o.start_epoch), index_(o.start_batch) {
    const size_t batch = static_cast<size_t>(o.batch);
    row_.resize(batch * static_cast<size_t>(features.width));
    target_.resize(batch);
    sample_.resize(batch);
    if (o.visits < batch)
      throw data::DatasetError(dataset.folder() + ": " + std::to_string(o.visits) +
                               " images are fewer than a batch of " + std::to_string(o.batch));
    if (features.broken.size() == dataset.size())
      throw data::DatasetError(dataset.folder() + ": none of the images can be read");
  }

  bool next(TrainBatch& batch) override {
    if (index_ >= per_epoch()) {
      index_ = 0;
      ++epoch_;
    }
    if (epoch_ >= o_.start_epoch + o_.epochs) return false;
    if (order_.empty() || ordered_ != epoch_) {
      order_ = o_.order(epoch_);
      ordered_ = epoch_;
    }
    for (size_t i = 0; i < target_.size(); ++i) {
      const uint32_t from = readable(index_ * target_.size() + i);
      std::copy_n(features_.row(from), features_.width,
                  row_.begin() + static_cast<std::ptrdiff_t>(i) * features_.width);
      target_[i] = data_.label(from);
      sample_[i] = from;
    }
    batch = {static_cast<int>(epoch_),
             static_cast<int64_t>(index_++),
             row_.data(),
             nullptr,
             target_.data(),
             sample_.data(),
             nullptr};
    return true;
  }
  int64_t batches_per_epoch() const override { return static_cast<int64_t>(per_epoch()); }
  double seconds_waited() const override { return 0; }
  int64_t broken_count() const override { return static_cast<int64_t>(features_.broken.size()); }

 private:
  uint64_t per_epoch() const { return o_.visits / target_.size(); }
  uint32_t readable(size_t place) const {
    while (std::binary_search(features_.broken.begin(), features_.broken.end(), order_[place % order_.size()])) ++place;
    return order_[place % order_.size()];
  }

  const data::Dataset& data_;
  const Features& features_;
  const data::LoaderOptions o_;
  uint32_t epoch_, ordered_ = 0;
  uint64_t index_;
  std::vector<uint32_t> order_;
  std::vector<float> row_;
  std::vector<int64_t> target_, sample_;
};

class SyntheticSource : public Source {
 public:
  explicit SyntheticSource(const SyntheticOptions& o) : o_(o), epoch_(o.start_epoch), index_(o.start_batch) {
    const size_t bytes = static_cast<size_t>(o.batch * o.image_size * o.image_size * 3);
    img_.resize(bytes);
    img_aug_.resize(bytes);
    target_.resize(static_cast<size_t>(o.batch));
  }

  bool next(TrainBatch& batch) override {
    if (index_ >= o_.batches_per_epoch) {
      index_ = 0;
      ++epoch_;
    }
    if (epoch_ >= o_.start_epoch + o_.epochs) return false;
    if (!o_.repeat || !made_) make(static_cast<uint64_t>(epoch_) * o_.batches_per_epoch + index_);
    const int64_t part = o_.batch / o_.ranks, from = part * o_.rank;
    const size_t image = img_.size() / static_cast<size_t>(o_.batch);
    const uint8_t* strong = img_aug_.data() + image * static_cast<size_t>(from);
    if (o_.keys) {
      const std::vector<int64_t> keys = o_.keys(static_cast<uint32_t>(epoch_), static_cast<uint64_t>(index_));
      keys_.resize(image * static_cast<size_t>(part));
      for (int64_t i = 0; i < part; ++i)
        std::copy_n(img_aug_.begin() + static_cast<std::ptrdiff_t>(image) * keys[static_cast<size_t>(from + i)], image,
                    keys_.begin() + static_cast<std::ptrdiff_t>(image) * i);
      strong = keys_.data();
    }
    batch = {epoch_,  index_++, img_.data() + image * static_cast<size_t>(from), strong, target_.data() + from,
             nullptr, nullptr};
    return true;
  }
  int64_t batches_per_epoch() const override { return o_.batches_per_epoch; }
  double seconds_waited() const override { return 0; }
  int64_t broken_count() const override { return 0; }

 private:
  void make(uint64_t step) {
    made_ = true;
    fill(img_, step, data::Purpose::weak_view);
    fill(img_aug_, step, data::Purpose::strong_view);
    data::Stream labels(o_.seed, data::Purpose::sample_label, static_cast<uint32_t>(step >> 32),
                        static_cast<uint32_t>(step));
    for (int64_t& t : target_) t = labels.below(static_cast<uint32_t>(o_.num_class));
  }

  void fill(std::vector<uint8_t>& bytes, uint64_t step, data::Purpose purpose) const {
    data::Stream stream(o_.seed, purpose, static_cast<uint32_t>(step >> 32), static_cast<uint32_t>(step));
    size_t i = 0;
    for (; i + 4 <= bytes.size(); i += 4) {
      const uint32_t word = stream.bits();
      for (int b = 0; b < 4; ++b) bytes[i + b] = static_cast<uint8_t>(word >> (8 * b));
    }
    for (; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(stream.bits());
  }

  SyntheticOptions o_;
  int epoch_;
  int64_t index_;
  bool made_ = false;
  std::vector<uint8_t> img_, img_aug_, keys_;
  std::vector<int64_t> target_;
};

}  // namespace

data::LoaderOptions loader_options(const RunSettings& settings, uint64_t seed, int epoch, int64_t batch) {
  data::LoaderOptions o;
  o.threads = settings.compute.workers;
  o.seed = seed;
  o.start_epoch = static_cast<uint32_t>(epoch);
  o.start_batch = static_cast<uint64_t>(batch);
  o.epochs = static_cast<uint32_t>(settings.schedule.epochs - epoch);
  o.augment.scale_low = settings.augmentation.crop_min;
  o.augment.jitter = settings.augmentation.jitter;
  o.augment.gray = settings.augmentation.gray;
  return o;
}

std::unique_ptr<Source> make_loader_source(const data::Dataset& dataset, const data::LoaderOptions& options) {
  return std::make_unique<LoaderSource>(dataset, options);
}

std::unique_ptr<Source> make_feature_source(const data::Dataset& dataset, const Features& features,
                                            const data::LoaderOptions& options) {
  return std::make_unique<FeatureSource>(dataset, features, options);
}

std::unique_ptr<Source> make_synthetic_source(const SyntheticOptions& options) {
  return std::make_unique<SyntheticSource>(options);
}

}  // namespace moproc::train
