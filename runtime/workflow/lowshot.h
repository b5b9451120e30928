// moproc lowshot: measures the features of a trained network with linear SVMs on a few images per class (Goyal et al.,
// ICCV 2019), in the way of the published script.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/plan.h"
#include "data/python_random.h"
#include "train/settings.h"

namespace moproc::train {

/// "format" of the results.
inline constexpr const char* kLowshotFormat = "moproc-lowshot-1";

struct LowshotSettings {
  std::string checkpoint;                     // of the network that is measured
  bool places = false;                        // Places205 instead of VOC 2007
  std::string voc_path;                       // the folder that holds VOCdevkit/VOC2007
  std::string places_path;                    // the folder that holds trainvalsplit_places205
  int first_label = 0;                        // Places205: number of the first class in its lists
  uint64_t seed = 0;                          // of the draws
  double cost = 0.5;                          // of the SVMs
  std::vector<int> shots = {1, 2, 4, 8, 16};  // training images per class
  int draws = 5;                              // draws of training images for each number of shots
  bool ignore_difficult = false;              // VOC: leave out images of difficult objects; otherwise they are negative
  double max_broken = data::kMaxBroken;       // ReadableOptions::max_broken
  double tolerance = 1e-4;                    // see SvmOptions
  int max_passes = 2000;                      // passes of an SVM over its rows
  std::string output = "lowshot.json";
  Compute compute;
  RunRecord record;                // written to the output
  std::vector<std::string> notes;  // printed when the run starts
};

/// The k images per class of one draw, class by class. An image that is drawn for two classes appears twice.
/// `of_class`: the images that show each class. `random` is used as in the published script, so a seed draws the same
/// images as there. If a class has fewer than k images, all of them are taken.
std::vector<uint32_t> draw_images(std::vector<std::vector<uint32_t>> of_class, int k, data::PythonRandom& random);

/// Throws InputError if the output, or the file of features beside it, exists and moproc did not write it.
void require_lowshot_targets(const LowshotSettings& settings);

/// Computes features of all images that are drawn or tested, trains and tests SVMs for each k and draw, prints a table
/// and writes settings.output. Returns the exit status: 0, or 128 + the number of the signal that stopped it. Throws
/// InputError and DatasetError.
int run_lowshot(const Plan& plan, const LowshotSettings& settings);

}  // namespace moproc::train
