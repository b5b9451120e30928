// Running averages of an epoch. Surprising: accuracies are means of the steps' percentages, as in the published script,
// not percentages of all samples. The two differ if steps keep different numbers of samples.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "core/json.h"
#include "train/step.h"

namespace moproc::train {

inline constexpr int64_t kNoClass = -1;  // the true class of an image that shows none of the classes
inline constexpr int64_t kUnknown = -2;  // the true class is not known

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

/// What the clean phase did to the samples of one step.
struct LabelCounts {
  double samples = 0, corrected = 0, dropped = 0;
  double kept_share() const { return 1 - (corrected + dropped) / samples; }
};

/// The averages and counts over the steps of an epoch.
struct Meters {
  Meter loss, loss_cls, loss_inst, loss_proto;     // nats
  Meter acc_cls, acc_inst, acc_proto;              // percent; cls and proto of kept samples, inst of all
  double samples = 0, corrected = 0, dropped = 0;  // in the clean phase: all samples, labels replaced, samples left out
  double not_finite = 0;                           // steps whose update was skipped
  // Samples of the clean phase whose true class is known: their label is right or wrong, or the image shows no class.
  double right = 0, right_kept = 0, wrong = 0, wrong_corrected = 0, wrong_dropped = 0, out = 0, out_dropped = 0;

  LabelCounts of_step;  // of the last step, if it was one of the clean phase; not part of the JSON

  /// Adds a step's results. `given` (samples): the labels in the list. A step that is not finite is only counted.
  void add(const StepResult& r, const int64_t* given);
  /// Counts what the step did to samples whose true class is known. `truth` (samples): a class, kNoClass or kUnknown.
  void add_truth(const StepResult& r, const int64_t* given, const int64_t* truth);

  /// Writes all numbers as one JSON object without loss, and reads them back. from_json() throws InputError, whose
  /// message begins with `where`, if a number is missing.
  std::string to_json() const;
  static Meters from_json(const Json& json, const std::string& where);
};

}  // namespace moproc::train
