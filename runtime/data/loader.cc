// A ring of slots, one per batch, and the threads that fill them sample by sample. Surprising: there is no queue of
// work. A ticket is a pair of numbers (batch, place in it). A thread takes the next one as soon as its batch has a free
// slot.
#include "loader.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "sampler.h"

namespace moproc::data {
namespace {

using Order = std::shared_ptr<const std::vector<std::uint32_t>>;

struct Slot {
  Batch batch;
  Order order;                     // of the batch's epoch; null in evaluation
  std::uint64_t from = 0;          // first position of this part in the epoch
  std::vector<std::int64_t> keys;  // (whole batch) the place whose image each strong view shows; empty: its own
  int wanted = 0;                  // samples to make
  int left = 0;                    // samples not made yet
  std::unique_ptr<std::uint8_t[]> img, img_aug;
  std::vector<std::int64_t> target, sample;
  std::vector<char> readable;
};

void validate(const LoaderOptions& o) {
  const auto need = [](bool ok, const char* what) {
    if (!ok) throw std::invalid_argument(std::string("loader: ") + what);
  };
  need(o.batch >= 1, "a batch needs at least one sample");
  need(o.ranks >= 1 && o.batch % o.ranks == 0, "the batch must be a multiple of the number of ranks");
  need(o.rank >= 0 && o.rank < o.ranks, "no such rank");
  need(o.threads >= 0, "the number of threads must not be negative");
  need(o.slots >= 1, "at least one slot is needed");
  need(o.augment.size >= 1, "the image size must be at least 1");
  need(o.augment.resize_side() >= 1, "the test resize must be at least 1");
}

}  // namespace

class Loader::Impl {
 public:
  Impl(const Dataset& dataset, LoaderOptions options) : data_(dataset), options_(std::move(options)) {
    validate(options_);
    const bool training = options_.mode == Mode::training;
    per_epoch_ = batches_in_epoch(visits(), options_.batch, training);
    if (per_epoch_ == 0) {
      throw DatasetError(data_.folder() + ": " + std::to_string(visits()) + " images are fewer than a batch of " +
                         std::to_string(options_.batch));
    }
    if (options_.start_batch > per_epoch_) {
      throw std::invalid_argument("loader: batch " + std::to_string(options_.start_batch) + " of an epoch of " +
                                  std::to_string(per_epoch_));
    }
    taking_ = next_ = released_ = options_.start_batch;
    end_ = per_epoch_ * (training ? options_.epochs : 1);
    broken_flag_ = std::vector<std::atomic<char>>(data_.size());
    slots_.resize(options_.slots);
    for (Slot& slot : slots_) allocate(slot);
    start_threads();
  }

  ~Impl() {
    stop();
    for (std::thread& t : threads_) t.join();
  }

  const Batch* next() {
    const auto begin = std::chrono::steady_clock::now();
    std::unique_lock lock(mutex_);
    if (!failure_ && next_ == end_) return nullptr;
    if (next_ - released_ >= slots_.size()) throw std::logic_error("loader: every slot is held, release one first");
    made_.wait(lock, [&] { return failure_ || (taking_ > next_ && slot_of(next_).left == 0); });
    waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (failure_) std::rethrow_exception(failure_);
    return &slot_of(next_++).batch;
  }

  void release() {
    const std::lock_guard lock(mutex_);
    if (released_ == next_) throw std::logic_error("loader: no batch is held");
    ++released_;
    free_.notify_all();
  }

  std::uint64_t per_epoch() const { return per_epoch_; }
  std::vector<Broken> broken() const {
    const std::lock_guard lock(broken_mutex_);
    return broken_;
  }
  double waited() const {
    const std::lock_guard lock(mutex_);
    return waited_;
  }

 private:
  Slot& slot_of(std::uint64_t batch) { return slots_[batch % slots_.size()]; }
  int part() const { return options_.batch / options_.ranks; }
  bool training() const { return options_.mode == Mode::training; }
  /// Images of an epoch.
  std::uint64_t visits() const { return training() && options_.order ? options_.visits : data_.size(); }
  std::size_t picture_bytes() const {
    return static_cast<std::size_t>(options_.augment.size) * options_.augment.size * 3;
  }

  void allocate(Slot& slot) {
    const std::size_t bytes = picture_bytes() * part();
    slot.img = std::make_unique<std::uint8_t[]>(bytes);
    if (training() && options_.strong) slot.img_aug = std::make_unique<std::uint8_t[]>(bytes);
    slot.target.resize(part());
    slot.sample.resize(part());
    slot.readable.resize(part());
    slot.batch.capacity = part();
    slot.batch.img = slot.img.get();
    slot.batch.img_aug = slot.img_aug.get();
    slot.batch.target = slot.target.data();
    slot.batch.sample = slot.sample.data();
  }

  void start_threads() {
    const unsigned machine = std::max(1u, std::thread::hardware_concurrency());
    const unsigned count = options_.threads > 0 ? static_cast<unsigned>(options_.threads) : machine;
    try {
      for (unsigned i = 0; i < count; ++i) threads_.emplace_back([this] { work(); });
    } catch (...) {
      stop();
      for (std::thread& t : threads_) t.join();
      throw;
    }
  }

  void stop() {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    free_.notify_all();
  }

  void fail(std::exception_ptr why) {
    const std::lock_guard lock(mutex_);
    if (!failure_) failure_ = std::move(why);
    stopping_ = true;
    free_.notify_all();
    made_.notify_all();
  }

  // Gives batch `taking_` its slot. The order of an epoch is drawn here once and shared by the epoch's slots.
  void open_slot(Slot& slot) {
    const std::uint64_t index = taking_ % per_epoch_;
    const std::uint32_t epoch = options_.start_epoch + static_cast<std::uint32_t>(taking_ / per_epoch_);
    if (training() && (!order_ || order_epoch_ != epoch)) {
      order_ = std::make_shared<const std::vector<std::uint32_t>>(
          options_.order ? options_.order(epoch) : epoch_order(options_.seed, epoch, data_.size()));
      order_epoch_ = epoch;
    }
    slot.order = order_;
    slot.batch.epoch = epoch;
    slot.batch.index = index;
    slot.from = index * options_.batch + static_cast<std::uint64_t>(options_.rank) * part();
    const std::uint64_t there = slot.from < visits() ? visits() - slot.from : 0;
    if (training() && options_.strong && options_.keys) slot.keys = options_.keys(epoch, index);
    slot.wanted = static_cast<int>(std::min<std::uint64_t>(there, part()));
    slot.left = slot.wanted;
    if (slot.wanted == 0) close_slot(slot);  // the last evaluation batch has no sample for this rank
  }

  // Waits for a ticket; false if no work is left.
  bool take(Slot*& slot, int& place) {
    std::unique_lock lock(mutex_);
    for (;;) {
      free_.wait(lock, [&] { return stopping_ || taking_ == end_ || taking_ - released_ < slots_.size(); });
      if (stopping_ || taking_ == end_) return false;
      slot = &slot_of(taking_);
      if (place_ == 0) open_slot(*slot);
      const bool nothing = slot->wanted == 0;
      place = place_++;
      if (place_ >= slot->wanted) {
        place_ = 0;
        ++taking_;
      }
      if (!nothing) return true;
      made_.notify_all();
    }
  }

  void work() {
    try {
      Workspace w;
      Slot* slot;
      int place;
      while (take(slot, place)) {
        if (training()) make_training(*slot, place, w);
        else make_evaluation(*slot, place, w);
        const std::lock_guard lock(mutex_);
        if (slot->left == 1) close_slot(*slot);
        if (--slot->left == 0) made_.notify_all();
      }
      const std::lock_guard lock(mutex_);
      free_.notify_all();
    } catch (...) {
      fail(std::current_exception());
    }
  }

  // Decodes one sample. If its file is broken, returns false and reports it the first time.
  bool load(std::size_t sample, Workspace& w) {
    if (broken_flag_[sample].load(std::memory_order_relaxed)) return false;
    try {
      patiently([&] { data_.read(sample, w.bytes, options_.limits); });
      decode(w.bytes, w.decoded, options_.limits);
      return true;
    } catch (const ImageError& e) {
      report({sample, std::string(data_.name(sample)), e.what(), e.unread_kind()});
      return false;
    }
  }

  void report(const Broken& broken) {
    const std::lock_guard lock(broken_mutex_);
    if (broken_flag_[broken.sample].exchange(1)) return;
    broken_.push_back(broken);
    if (options_.on_broken) return options_.on_broken(broken);
    const bool of_kind = !broken.kind.empty();
    if (of_kind && (data_.told().contains(broken.kind) || ++kinds_[broken.kind] > 1)) return;
    std::fprintf(stderr, "warning: %s/%s: %s%s\n", data_.folder().c_str(), broken.name.c_str(), broken.reason.c_str(),
                 of_kind ? "; other files of this format are counted, but not named" : "");
  }

  // Decodes the first readable sample at or after `position` of the epoch. Returns its index in the list.
  std::uint32_t load_at(const std::vector<std::uint32_t>& order, std::uint64_t position, Workspace& w) {
    for (std::size_t further = 0; further < order.size(); ++further) {
      const std::uint32_t sample = order[(position + further) % order.size()];
      if (load(sample, w)) return sample;
    }
    const Broken first = broken().front();
    throw DatasetError(data_.folder() + ": none of the " + std::to_string(order.size()) +
                       " images can be read; the first: " + first.name + ": " + first.reason);
  }

  // The number that a picture's random draws depend on.
  std::uint32_t item_of(std::uint32_t sample, std::uint64_t position) const {
    return options_.order ? static_cast<std::uint32_t>(position) : sample;
  }

  void make_training(Slot& slot, int place, Workspace& w) {
    const AugmentOptions& how = options_.augment;
    const std::uint32_t epoch = slot.batch.epoch;
    const std::uint64_t own = slot.from + static_cast<std::uint64_t>(place);
    const std::uint32_t sample = load_at(*slot.order, own, w);
    apply(draw_weak(options_.seed, epoch, item_of(sample, own), w.decoded.width(), w.decoded.height(), how), how, w,
          slot.img.get() + picture_bytes() * place);
    if (slot.img_aug) {
      std::uint64_t key = own;
      std::uint32_t shown = sample;
      if (!slot.keys.empty()) {
        const std::uint64_t batch = slot.batch.index * options_.batch;
        key = batch + static_cast<std::uint64_t>(slot.keys[own - batch]);
        if (key != own) shown = load_at(*slot.order, key, w);
      }
      apply(draw_strong(options_.seed, epoch, item_of(shown, key), w.decoded.width(), w.decoded.height(), how), how, w,
            slot.img_aug.get() + picture_bytes() * place);
    }
    slot.target[place] = data_.label(sample);
    slot.sample[place] = sample;
    slot.readable[place] = 1;
  }

  void make_evaluation(Slot& slot, int place, Workspace& w) {
    const std::size_t sample = slot.from + place;
    slot.readable[place] = load(sample, w);
    slot.target[place] = data_.label(sample);
    slot.sample[place] = static_cast<std::int64_t>(sample);
    if (slot.readable[place]) apply_test(options_.augment, w, slot.img.get() + picture_bytes() * place);
  }

  // Called when all samples are done: moves the readable ones together and clears the other places.
  void close_slot(Slot& slot) {
    const std::size_t bytes = picture_bytes();
    int count = 0;
    for (int i = 0; i < slot.wanted; ++i) {
      if (!slot.readable[i]) continue;
      if (count != i) {
        std::memcpy(slot.img.get() + bytes * count, slot.img.get() + bytes * i, bytes);
        slot.target[count] = slot.target[i];
        slot.sample[count] = slot.sample[i];
      }
      ++count;
    }
    std::memset(slot.img.get() + bytes * count, 0, bytes * (part() - count));
    std::fill(slot.target.begin() + count, slot.target.end(), 0);
    std::fill(slot.sample.begin() + count, slot.sample.end(), -1);
    slot.batch.count = count;
  }

  const Dataset& data_;
  const LoaderOptions options_;
  std::uint64_t per_epoch_ = 0;
  std::uint64_t end_ = 0;  // one after the last batch, counted from batch 0 of start_epoch

  mutable std::mutex mutex_;  // guards the members up to threads_
  std::condition_variable free_, made_;
  std::vector<Slot> slots_;     // pictures are written without the lock, each by one thread
  std::uint64_t taking_ = 0;    // the batch of the next ticket
  int place_ = 0;               // the place of the next ticket
  std::uint64_t next_ = 0;      // the next batch for the caller
  std::uint64_t released_ = 0;  // number of batches that the caller has released
  Order order_;
  std::uint32_t order_epoch_ = 0;
  std::exception_ptr failure_;
  bool stopping_ = false;
  double waited_ = 0;

  std::vector<std::atomic<char>> broken_flag_;
  mutable std::mutex broken_mutex_;
  std::vector<Broken> broken_;
  KindCounts kinds_;

  std::vector<std::thread> threads_;
};

Loader::Loader(const Dataset& dataset, LoaderOptions options)
    : impl_(std::make_unique<Impl>(dataset, std::move(options))) {}
Loader::~Loader() = default;

const Batch* Loader::next() { return impl_->next(); }
void Loader::release() { impl_->release(); }
std::uint64_t Loader::batches_per_epoch() const { return impl_->per_epoch(); }
std::size_t Loader::broken_count() const { return impl_->broken().size(); }
std::vector<Broken> Loader::broken() const { return impl_->broken(); }
double Loader::seconds_waited() const { return impl_->waited(); }

}  // namespace moproc::data
