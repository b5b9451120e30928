// Training steps: feeds a program its inputs, starts it and reads its results. On a GPU, the next step can be fed and
// started while the one before it still runs.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "session/session.h"
#include "train/schedule.h"
#include "train/settings.h"
#include "train/source.h"

namespace moproc::train {

/// The results of a step. Losses, in nats, are means over the groups. A value that the phase does not compute is
/// absent.
struct StepResult {
  bool finite = true;  // false: the step changed no state except the key encoder
  std::optional<double> loss, loss_cls, loss_inst, loss_proto;
  std::optional<double> correct_cls, correct_inst, correct_proto;  // counts over all groups
  double kept = 0;                                                 // samples in the class and prototype losses
  double samples = 0;
  // With several ranks: the largest signal that a rank sent with the step (StepRunner::send_signal), and labels and
  // list indices of the whole batch in its order.
  int64_t signal = 0;
  std::vector<int64_t> all_targets, all_samples;
  // Both (samples) point into the session and are valid until the next result is read. Null if the phase corrects none.
  const int64_t* target_new = nullptr;  // labels after correction
  const float* kept_flags = nullptr;    // 1: kept, 0: left out
};

/// The step programs of a session (MoPro's three, or `train` alone). Inputs and outputs are looked up by name once. The
/// constructor throws InputError if the plan lacks a program, if a program has an input that training does not feed, or
/// if it lacks an output that its phase needs.
class StepRunner {
 public:
  /// `features`: use the program `train_features`, a step on features that were computed before.
  StepRunner(Session& session, const Hyper& hyper, uint64_t seed, bool features = false);

  /// Keeps the images and labels of the first step on the device for all later steps, to measure steps without uploads.
  /// Only for devices with memory of their own.
  void keep_batch() { keep_batch_ = true; }

  /// Steps that mix images draw their weight from Beta(alpha, alpha).
  void set_mixup(double alpha) { mixup_ = alpha; }
  /// Sets the weights of the samples, one per image of the list, for steps that have weights; empty: 1 each.
  void set_weights(std::vector<float> weights) { weights_ = std::move(weights); }

  /// Images per step: of all ranks, and of this rank.
  int64_t batch() const { return part_ * session_.ranks(); }
  int64_t part() const { return part_; }
  int64_t image_size() const { return image_size_; }
  /// u8, or f32 for a program that was compiled to take normalised images.
  DType image_dtype() const { return image_dtype_; }
  /// The phase of an epoch.
  Phase phase(int epoch, int start_clean_epoch) const;
  /// Whether any program reads the strong view.
  bool needs_strong() const;
  /// Whether every rank must load the key images in the order of the permutation.
  bool loads_keys() const { return loads_keys_; }
  /// The next step sends this signal's number to all ranks. StepResult::signal is the largest number of all ranks.
  void send_signal(int64_t number) { signal_ = number; }
  /// Starts `phase` on a batch, whose memory can be reused when this returns. `global_step`, counted over the whole
  /// run, determines the permutation of the keys and the weight of mixup. At most Session::slots() steps may be started
  /// and not finished.
  void start(Phase phase, const TrainBatch& batch, double lr, uint64_t global_step);
  /// Waits for the oldest step that was started, which must be of this phase, and reads its results.
  StepResult finish(Phase phase);
  /// start() and finish(); no other step may be under way.
  StepResult run(Phase phase, const TrainBatch& batch, double lr, uint64_t global_step);
  /// All elements of an output of the phase's program after it ran; nothing if it has no such output.
  std::optional<std::vector<double>> output(Phase phase, const char* name) const {
    return values(phases_[static_cast<int>(phase)].program, name);
  }
  /// The index of a phase's program; -1 if the session has none.
  int program(Phase phase) const { return phases_[static_cast<int>(phase)].program; }

 private:
  struct Scalar {
    int tensor;
    double Hyper::* value;
  };
  struct Bound {
    int program = -1;
    int img = -1, img_aug = -1, target = -1, order = -1;
    int target_b = -1, mix = -1, weight = -1, mail = -1;
    int64_t mail_words = 0;  // words of the input `mail` before those of the rows
    std::vector<Scalar> hyper;
  };

  Bound bind(const std::string& program, Phase phase);
  void require_outputs(const Bound& b, Phase phase) const;
  void feed(const Bound& p, const TrainBatch& batch, double lr, uint64_t global_step);
  bool kept(int tensor) const { return std::find(kept_.begin(), kept_.end(), tensor) != kept_.end(); }
  StepResult read(const Bound& p) const;
  std::optional<std::vector<double>> values(int program, const char* output) const;
  void write_mail(const Bound& p, const TrainBatch& batch);
  void read_mails(const Bound& p, StepResult& to) const;
  std::vector<int64_t> targets_of_all(const TrainBatch& batch) const;

  Session& session_;
  Hyper hyper_;
  uint64_t seed_;
  int64_t part_ = 0, image_size_ = 0;
  int64_t signal_ = 0;
  bool loads_keys_;
  DType image_dtype_ = DType::u8;
  bool supervised_;  // the only step program is `train`
  double mixup_ = 0;
  std::vector<float> weights_;
  bool keep_batch_ = false;
  std::vector<int> kept_;  // inputs that stay on the device
  Bound phases_[4];
};

}  // namespace moproc::train
