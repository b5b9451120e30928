// The toy plan's kernels. Arguments are named by position in the enums.
#pragma once

#include "common/params.h"

namespace moproc::test {

enum StepArg {
  kImg,
  kAug,
  kTarget,
  kOrder,
  kLr,
  kMomentum,
  kDecay,
  kThreshold,
  kWInst,
  kPacked,
  kWeight,
  kVelocity,
  kPointer,
  kProbs,
  kLosses,
  kLossOut,
  kClsOut,
  kInstOut,
  kCorrectOut,
  kFinite,
  kTargetNew,
  kKept,
  kClean
};

/// Phase 0: a sample a task. Phase 1: sums over groups, and whether all is finite. Phase 2: a class a task:
/// SGD. extent: features, classes, 1 when labels are corrected. Outputs that a program lacks are written to
/// scratch tensors.
void toy_step(const Params& p, const Task& t);
/// {key, query, m}: key = m key + (1 - m) query, a row a task; extent: features.
void toy_ema(const Params& p, const Task& t);
/// {weight, packed}: a row a task; extent: features.
void toy_pack(const Params& p, const Task& t);
/// {img, target, weight, packed, logits, correct1, correct5}; one task; extent: features, classes.
void toy_evaluate(const Params& p, const Task& t);
/// {out}: writes NaN into element 3 of a float tensor.
void toy_nan(const Params& p, const Task& t);

}  // namespace moproc::test
