// Noise correction of one sample (MoPro, section 3.3): keeps or replaces its label, or drops the sample.
#pragma once

#include <cstdint>

namespace moproc::train {

struct CleanRule {
  double alpha = 0.5;      // weight of the classifier in the score
  double threshold = 0.8;  // score above which the best class becomes the label
};

enum class Verdict { kept, relabelled, dropped };

/// The probabilities of a class: softmax of the classifier's logits, softmax of the similarities to the prototypes, and
/// the score, alpha cls + (1 - alpha) proto.
struct Belief {
  int64_t label = 0;
  double cls = 0, proto = 0, score = 0;
};

struct Judgement {
  Verdict verdict = Verdict::dropped;
  int64_t label = -1;  // label to train with; -1: dropped
  Belief given, best;  // the class in the list; the class with the largest score (the first, if equal)
  double margin = 0;   // the largest score minus the second largest
};

/// If the score of the best class is above the threshold, that class becomes the label. Otherwise the given label is
/// kept if its score is above 1 / classes. Otherwise the sample is dropped. `logits` and `proto` (classes) are outputs
/// of the program embed. Scores are computed in f64.
Judgement judge(const float* logits, const float* proto, int64_t classes, int64_t given, const CleanRule& rule);

/// "kept", "relabelled", "dropped".
const char* name_of(Verdict verdict);

}  // namespace moproc::train
