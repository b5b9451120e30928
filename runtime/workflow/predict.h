// moproc predict: the classes that a trained network sees on images.
#pragma once

#include <string>
#include <vector>

#include "core/plan.h"
#include "train/settings.h"

namespace moproc::train {

struct PredictSettings {
  std::vector<std::string> images;  // files, and folders whose images are taken, also those in folders below
  std::string checkpoint;
  std::string csv;      // file to write; "": the predictions are printed
  std::string classes;  // file with the names of the classes, one per line; "": those in the checkpoint
  int top = 5;          // classes per image
  Compute compute;
};

/// The first line of a CSV file of predictions is this, followed by columns of further ranks.
inline constexpr const char* kPredictColumns = "path,class,name,probability";

/// Throws InputError, naming the remedy, if settings.csv exists: a table has no room for a mark, and may have been
/// edited.
void require_predict_targets(const PredictSettings& settings);

/// Runs the program `embed`, which must have the output `logits`, over all images in their test form (short side
/// resized, centre crop), and prints or writes the `top` most probable classes of each. An image that cannot be read is
/// named with the reason, and has no prediction. Returns 0, or 128 + the number of the signal that stopped it, which
/// leaves no file. Throws InputError and data::DatasetError, also if no image can be read.
int run_predict(const Plan& plan, const PredictSettings& settings);

}  // namespace moproc::train
