// moproc evaluate: how many images of a data folder a trained network gets right, in all and per class.
#pragma once

#include <string>

#include "comm/world.h"
#include "core/plan.h"
#include "train/settings.h"

namespace moproc::train {

struct EvaluationSettings {
  std::string data;                   // a folder that training takes, too
  std::string checkpoint;             // of the network
  std::string csv;                    // file for the counts per class; "": none
  bool google = true, flickr = true;  // which of WebVision's sources are used if there are no validation images
  int first_label = 0;                // number of the first class in csv and jsonl lists
  HoldOut hold_out;                   // which images are evaluated if the folder has no validation images
  Compute compute;
};

/// The first line of the file of counts.
inline constexpr const char* kEvaluationColumns = "class,name,images,correct1,correct5,top1,top5";

/// Throws InputError, naming the remedy, if settings.csv exists: a table has no room for a mark.
void require_evaluation_targets(const EvaluationSettings& settings);

/// Evaluates the validation images of the data folder; if it has none, the images that the checkpoint's run held out
/// of it, or else all images. The data's classes are mapped to the checkpoint's by name. Prints top-1 and top-5 in
/// percent, and the classes with the lowest top-1. `world`: the ranks that share the list, or null. Returns 0, or 128 +
/// the number of the signal that stopped it. Throws InputError and data::DatasetError.
int run_evaluation(const Plan& plan, const EvaluationSettings& settings, comm::World* world);

}  // namespace moproc::train
