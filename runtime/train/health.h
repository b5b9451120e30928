// Notices that a training run goes wrong while it does: pure functions over the numbers of each epoch. Surprising: a
// run that goes wrong this way shows small losses, because the network agrees with labels that it has itself replaced.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/json.h"
#include "train/recipe.h"
#include "train/step.h"

namespace moproc::train {

// When a warning is given.

/// Share of corrected labels. No data of use has more than about half of its labels wrong.
inline constexpr double kMuchCorrected = 0.75;
/// Share of dropped images. A quarter of the training images in use is hardly left then.
inline constexpr double kMuchDropped = 0.75;
/// Share of the images of all other classes that one class has taken in. In a set of two classes all mistakes may be in
/// one direction, so it takes half; among many classes a quarter is far more than noise that is spread over them.
inline double much_in_one_class(int64_t num_class) { return num_class <= 3 ? 0.5 : 0.25; }
/// So many evaluations in a row, none better than the one before it...
inline constexpr int kFallingEvaluations = 4;
/// ... and the last one this much below the first, as a share of it and in points, so that noise does not count.
inline constexpr double kFallingShare = 0.25, kFallingPoints = 5;
/// Mean cosine of two prototypes. At 0.95, a temperature of 0.1 turns the mean difference between two classes into a
/// factor of at most e^0.5: the prototypes do not tell classes apart. But in healthy runs, too, they coincide at first
/// and move apart in the first epochs that correct labels, and where the classifier is sure, it corrects labels alone.
/// So a warning needs this many such epochs in a row, and harm: top-1 has fallen from its best as far as above
/// (kFallingShare and kFallingPoints), or, if nothing is evaluated, the correction has changed more than half of the
/// labels.
inline constexpr double kCoinciding = 0.95;
inline constexpr int kCoincidingEpochs = 4;
inline constexpr double kMuchChanged = 0.5;
/// So many epochs whose mean classifier losses differ by less than this share...
inline constexpr int kStillEpochs = 5;
inline constexpr double kStillShare = 0.01;
/// ... and are at most this share below the loss of a classifier that only guesses...
inline constexpr double kNothingLearned = 0.03;
/// ... while its training accuracy is at most this many times that of guessing. With two classes and 40 % wrong labels,
/// the best possible loss is only 3 % below guessing, and the best accuracy 1.2 times as high.
inline constexpr double kBetterThanGuess = 1.1;
/// A warning is given again if what is left to the worst value has halved, and has shrunk by this much.
inline constexpr double kMuchWorse = 0.1;

/// The labels of an epoch's images, of all ranks, by class.
class LabelTally {
 public:
  explicit LabelTally(int64_t num_class = 0)
      : given_(static_cast<size_t>(num_class)), corrected_(static_cast<size_t>(num_class)) {}

  /// Adds a step. `given` (samples): the labels in the list. Steps that are not finite, and labels that are no class of
  /// the network, do not count.
  void add(const StepResult& r, const int64_t* given);

  /// The class with the most corrected labels.
  struct Largest {
    int64_t label = -1;       // -1: no label was corrected
    double of_corrected = 0;  // its share among the corrected labels
    double of_given = 0;      // its share among the labels in the list
    double taken = 0;         // the share of the images of all other classes whose label became this one
  };
  Largest largest() const;
  /// A classifier that knows only how frequent the classes are: its mean loss in nats, which is the entropy of the
  /// labels in the list, and the share that it gets right, which is that of the most frequent class. Nothing if there
  /// are no labels.
  struct Guess {
    double loss, accuracy;
  };
  std::optional<Guess> guess() const;

 private:
  std::vector<double> given_, corrected_;
};

/// The mean cosine of all pairs of rows of `rows` (row-major [n, size]), in O(n size): for unit vectors it follows from
/// the norm of their sum s as (|s|^2 - n) / (n (n - 1)). Rows of zeros, the prototypes of classes without images, are
/// left out. Nothing if fewer than two rows are left, or if a value is not finite.
std::optional<double> mean_cosine(std::span<const float> rows, int64_t size);

/// The numbers of one epoch.
struct EpochNumbers {
  int epoch = 0;
  int64_t num_class = 0;
  double labels = 0, corrected = 0, dropped = 0;  // of the clean phase; 0 in other phases
  LabelTally::Largest largest;
  std::string largest_name;    // of the class, "" if it has none
  std::optional<double> loss;  // of the classifier, mean of the epoch, in nats
  double accuracy = 0;         // of the classifier on the training images, percent
  std::optional<LabelTally::Guess> guess;
  std::optional<double> top1;        // of the first validation list, percent
  std::optional<double> prototypes;  // mean_cosine(), if the epoch corrected labels by them
};

struct HealthWarning {
  std::string kind;     // one_class, corrected, dropped, falling, prototypes, loss
  std::string text;     // what was found, what it means, and what to change
  double severity = 0;  // in [0, 1]; 1: as bad as can be
  JsonLine record;      // for the log: event, kind, epoch, the numbers, text
};

/// An evaluation: top-1 in percent, and the share of labels that its epoch corrected or dropped.
struct HealthEvaluation {
  double top1, changed;
};

class Health {
 public:
  /// Judges an epoch. Returns what is to be said: each kind once per run, and again only when it has become much worse.
  std::vector<HealthWarning> judge(const EpochNumbers& e, const Tunable& settings);
  /// Whether the last epoch that was judged gave reason for a warning, said or not.
  bool is_ill() const { return ill_; }

  /// What later epochs are judged by, for a checkpoint. read() throws InputError, whose message begins with `where`.
  std::string to_json() const;
  static Health from_json(const Json& json, const std::string& where);

 private:
  std::vector<HealthEvaluation> evaluations_;  // the last kFallingEvaluations
  std::vector<double> losses_;                 // of the last kStillEpochs epochs
  double best_ = -1;                           // top-1
  double coinciding_ = 0;                      // epochs in a row whose prototypes coincide
  std::map<std::string, double> said_;         // severity by kind
  bool ill_ = false;
};

}  // namespace moproc::train
