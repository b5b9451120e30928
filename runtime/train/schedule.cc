// Phases and learning rate of the epochs, as in the published script.
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

double learning_rate(double lr, const Schedule& s, int epoch, int64_t step, int64_t steps) {
  if (epoch < s.warmup_epochs)
    lr *= static_cast<double>(epoch * steps + step + 1) / static_cast<double>(s.warmup_epochs * steps);
  if (s.cosine) return lr * 0.5 * (1.0 + std::cos(std::numbers::pi * epoch / s.epochs));
  for (const int milestone : s.milestones)
    if (epoch >= milestone) lr *= s.decay_rate;
  return lr;
}

}  // namespace moproc::train
