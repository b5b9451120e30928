// Training steps: feeds a program its inputs, starts it, reads its results; on a GPU the next step is fed and
// started while one still runs.
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

/// What a step returns. Losses are means over the groups; what the phase does not compute is absent.
struct StepResult {
  bool finite = true;  // false: the step left all state but the key encoder as it was
  std::optional<double> loss, loss_cls, loss_inst, loss_proto;
  std::optional<double> correct_cls, correct_inst, correct_proto;  // counts over all groups
  double kept = 0;                                                 // samples in the class and prototype losses
  double samples = 0;
  // With several ranks: the largest signal that any rank sent with the step (StepRunner::send_signal), and the labels
  // and list indices of the whole batch, in its order.
  int64_t signal = 0;
  std::vector<int64_t> all_targets, all_samples;
  // Both point into the session, until the next result is read.
  const int64_t* target_new = nullptr;  // (n) labels after correction; null when the phase corrects none
  const float* kept_flags = nullptr;    // (n)
};

/// The step programs of a session (MoPro's three, or `train` alone), bound by name once. Throws InputError
/// when the plan lacks one, or when one has an input that training does not feed or lacks an output that its
/// phase is about.
class StepRunner {
 public:
  /// `features`: the step on features that were computed before, `train_features`.
  StepRunner(Session& session, const Hyper& hyper, uint64_t seed, bool features = false);

  /// The images and labels of the first step stay on the device for all that follow: to measure steps alone.
  /// Only where the device has memory of its own.
  void keep_batch() { keep_batch_ = true; }

  /// Steps that mix images take shares of Beta(alpha, alpha).
  void set_mixup(double alpha) { mixup_ = alpha; }
  /// Steps that weigh samples take these, by place in the list; empty: 1 each.
  void set_weights(std::vector<float> weights) { weights_ = std::move(weights); }

  /// Images of a step: of all ranks, and of this one.
  int64_t batch() const { return part_ * session_.ranks(); }
  int64_t part() const { return part_; }
  int64_t image_size() const { return image_size_; }
  /// u8, or f32 for a program compiled to take images that are normalised already.
  DType image_dtype() const { return image_dtype_; }
  /// The program of an epoch.
  Phase phase(int epoch, int start_clean_epoch) const;
  /// Whether any program reads the strong view.
  bool needs_strong() const;
  /// Whether every rank is to be given the key images in the order of the permutation.
  bool loads_keys() const { return loads_keys_; }
  /// A signal's number that the next step sends to all ranks; the largest of all ranks is in StepResult::signal.
  void send_signal(int64_t number) { signal_ = number; }
  /// Starts `phase` on one batch, whose memory is free again afterwards; `global_step` names the permutation
  /// of the keys. As many steps as Session::slots() may be started and not finished.
  void start(Phase phase, const TrainBatch& batch, double lr, uint64_t global_step);
  /// Waits for the oldest step started, which was of this phase, and reads its results.
  StepResult finish(Phase phase);
  /// Both, with nothing else under way.
  StepResult run(Phase phase, const TrainBatch& batch, double lr, uint64_t global_step);
  /// All elements of an output of the phase's program, after it ran; nothing when it has no such output.
  std::optional<std::vector<double>> output(Phase phase, const char* name) const {
    return values(phases_[static_cast<int>(phase)].program, name);
  }
  /// The program of a phase; -1 when the session has none.
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
    int64_t mail_words = 0;  // of the input `mail`, before the numbers of the rows
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
  bool supervised_;  // there is but the program `train`
  double mixup_ = 0;
  std::vector<float> weights_;
  bool keep_batch_ = false;
  std::vector<int> kept_;  // inputs that the device keeps
  Bound phases_[4];
};

}  // namespace moproc::train
