// Computes top-1 and top-5 over a whole validation list, as exact counts that include the last partial batch.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "data/dataset.h"
#include "session/session.h"
#include "train/features.h"

namespace moproc::train {

struct EvaluateResult {
  int64_t images = 0;  // readable ones
  int64_t broken = 0;  // files that could not be decoded; in no other count
  int64_t correct1 = 0, correct5 = 0;
  std::vector<int64_t> of_class, of_class1, of_class5;      // images and right ones per class; empty without logits
  std::map<std::pair<int64_t, int64_t>, int64_t> confused;  // images by own class and the class seen instead of it
  double seconds = 0;
  double top1() const { return images ? 100.0 * static_cast<double>(correct1) / static_cast<double>(images) : 0; }
  double top5() const { return images ? 100.0 * static_cast<double>(correct5) / static_cast<double>(images) : 0; }
  /// Means over the classes that have images, in percent (WebVision 2.0 ranks by the second); nothing without logits.
  std::optional<double> balanced1() const { return balanced(of_class1); }
  std::optional<double> balanced5() const { return balanced(of_class5); }
  /// Whether some class has more images than another, so that the means above differ from top1() and top5().
  bool uneven() const;

 private:
  std::optional<double> balanced(const std::vector<int64_t>& right) const;
};

/// Runs the program `evaluate` over the list with the test transform and `workers` decoding threads. Calls `go_on` with
/// (images done, images in the list) after each batch; if it returns false, there is no result. Throws InputError if
/// the program is missing or does not have the expected form.
std::optional<EvaluateResult> evaluate(Session& session, const data::Dataset& list, int workers,
                                       const std::function<bool(int64_t, int64_t)>& go_on);

/// The same with the program `evaluate_features` on features that were computed before.
EvaluateResult evaluate_features(Session& session, const data::Dataset& list, const Features& features);

}  // namespace moproc::train
