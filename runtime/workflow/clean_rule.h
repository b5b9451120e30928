// Noise correction of one sample (MoPro, section 3.3): what becomes of its label.
#pragma once

#include <cstdint>

namespace moproc::train {

struct CleanRule {
  double alpha = 0.5;      // share of the classifier in the score
  double threshold = 0.8;  // score above which the best class becomes the label
};

enum class Verdict { kept, relabelled, dropped };

/// A class as classifier, prototypes and both see it: softmax of each, and alpha cls + (1 - alpha) proto.
struct Belief {
  int64_t label = 0;
  double cls = 0, proto = 0, score = 0;
};

struct Judgement {
  Verdict verdict = Verdict::dropped;
  int64_t label = -1;  // to train with; -1: dropped
  Belief given, best;  // the class of the list; that of the largest score (of equal ones the first)
  double margin = 0;   // the largest score less the second
};

/// The best class is the label where its score is above the threshold; else the given one stays where its score is
/// above 1 / classes; else the sample is dropped. `logits` and `proto` (classes): as the program embed returns them.
/// Scores are formed in f64.
Judgement judge(const float* logits, const float* proto, int64_t classes, int64_t given, const CleanRule& rule);

/// "kept", "relabelled", "dropped".
const char* name_of(Verdict verdict);

}  // namespace moproc::train
