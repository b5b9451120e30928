// Running averages of an epoch. Surprising: accuracies are means of the steps' percentages, as in the
// published script, not of all samples; the two differ where steps keep different numbers of samples.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "core/json.h"
#include "train/step.h"

namespace moproc::train {

inline constexpr int64_t kNoClass = -1;  // the image shows none of the classes
inline constexpr int64_t kUnknown = -2;  // nobody knows

/// Last value and mean of a series.
struct Meter {
  double last = 0, sum = 0, count = 0;
  void add(double v) {
    last = v;
    sum += v;
    count += 1;
  }
  bool any() const { return count > 0; }
  double mean() const { return count > 0 ? sum / count : 0; }
};

/// Everything that is averaged over the steps of an epoch, and counted.
struct Meters {
  Meter loss, loss_cls, loss_inst, loss_proto;     // nats
  Meter acc_cls, acc_inst, acc_proto;              // percent; cls and proto over kept samples, inst over all
  double samples = 0, corrected = 0, dropped = 0;  // of the clean phase: labels replaced, samples left out
  double not_finite = 0;                           // steps without effect
  // Samples of the clean phase whose true class is known: label right, wrong, or the image of no class at
  // all.
  double right = 0, right_kept = 0, wrong = 0, wrong_corrected = 0, wrong_dropped = 0, out = 0, out_dropped = 0;

  /// Adds a step's results; `given` are the labels as listed. A step that is not finite is only counted.
  void add(const StepResult& r, const int64_t* given);
  /// Adds what the step did to samples whose true class is known: `truth` is a class, kNoClass or kUnknown a
  /// sample.
  void add_truth(const StepResult& r, const int64_t* given, const int64_t* truth);

  /// All numbers as one JSON object, exactly, and back. Throws InputError (after `where`) when one is
  /// missing.
  std::string to_json() const;
  static Meters from_json(const Json& json, const std::string& where);
};

}  // namespace moproc::train
