// The two sources of batches. The synthetic one makes a batch in a few milliseconds, so nobody waits for it.
#include "train/source.h"

#include "data/rng.h"

namespace moproc::train {
namespace {

class LoaderSource : public Source {
 public:
  LoaderSource(const data::Dataset& dataset, const data::LoaderOptions& options)
      : loader_(dataset, options) {}

  bool next(TrainBatch& batch) override {
    if (held_) loader_.release();
    const data::Batch* b = loader_.next();
    held_ = b != nullptr;
    if (!b) return false;
    batch = {static_cast<int>(b->epoch), static_cast<int64_t>(b->index), b->img, b->img_aug, b->target,
             b->sample, nullptr};
    return true;
  }
  int64_t batches_per_epoch() const override { return static_cast<int64_t>(loader_.batches_per_epoch()); }
  double seconds_waited() const override { return loader_.seconds_waited(); }
  int64_t broken_count() const override { return static_cast<int64_t>(loader_.broken_count()); }

 private:
  data::Loader loader_;
  bool held_ = false;
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
    batch = {epoch_, index_++, img_.data(), img_aug_.data(), target_.data(), nullptr, nullptr};
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
  std::vector<uint8_t> img_, img_aug_;
  std::vector<int64_t> target_;
};

}  // namespace

std::unique_ptr<Source> make_loader_source(const data::Dataset& dataset, const data::LoaderOptions& options) {
  return std::make_unique<LoaderSource>(dataset, options);
}

std::unique_ptr<Source> make_synthetic_source(const SyntheticOptions& options) {
  return std::make_unique<SyntheticSource>(options);
}

}  // namespace moproc::train
