// moproc clean: a trained model judges the label of every training image. Writes the annotation that retraining reads,
// and a report and a table with one line per image.
#pragma once

#include <cstdint>
#include <string>

#include "core/plan.h"
#include "train/settings.h"

namespace moproc::train {

struct CleanSettings {
  std::string data;                              // the WebVision folder whose training images are judged
  std::string checkpoint;                        // of the MoPro model that judges
  std::string annotation = "pseudo_label.json";  // file to write
  bool google = true, flickr = true;             // which of WebVision's sources are judged
  int first_label = 0;                           // number of the first class in csv and jsonl lists
  HoldOut hold_out;                              // these images are not judged
  double max_broken = data::kMaxBroken;          // ReadableOptions::max_broken
  double alpha = 0.5;                            // weight of the classifier in the score
  double pseudo_th = 0.8;                        // score above which a label is replaced
  double temperature = 0.1;                      // of the similarities to the prototypes
  std::string decisions;                         // a file of decisions that override the rule; "": none
  bool compat_released = false;                  // alpha is always 0.5, as in the published code
  Compute compute;
  RunRecord record;  // written to the summary, and compared if a run is continued

  double used_alpha() const { return compat_released ? 0.5 : alpha; }
};

/// Throws InputError if one of the files exists and moproc did not write it.
void require_clean_targets(const CleanSettings& settings);

/// Judges the training images. A stopped run continues if it is started again with the same settings, and then writes
/// the same bytes as an uninterrupted run. Returns the exit status: 0, or 128 + the number of the signal that stopped
/// it. Throws InputError and DatasetError.
int run_clean(const Plan& plan, const CleanSettings& settings);

}  // namespace moproc::train
