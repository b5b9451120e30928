// Phases and learning rate by epoch, as the published script has them.
#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace moproc::train {

const char* phase_name(Phase phase) {
  switch (phase) {
    case Phase::warmup: return "warmup";
    case Phase::proto: return "proto";
    case Phase::clean: return "clean";
    case Phase::train: return "train";
  }
  return "?";
}

Phase phase_of(int epoch, int start_clean_epoch) {
  if (epoch == 0) return Phase::warmup;
  return epoch >= start_clean_epoch ? Phase::clean : Phase::proto;
}

double learning_rate(const Options& o, int epoch) {
  if (o.cosine) return o.hyper.lr * 0.5 * (1.0 + std::cos(std::numbers::pi * epoch / o.epochs));
  double lr = o.hyper.lr;
  for (const int milestone : o.schedule)
    if (epoch >= milestone) lr *= o.decay_rate;
  return lr;
}

}  // namespace moproc::train
