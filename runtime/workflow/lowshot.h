// moproc lowshot: measures the features of a trained network by linear SVMs on a few images per class (Goyal et al.,
// ICCV 2019, as the published script does it).
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
  std::string checkpoint;                     // whose features are measured
  bool places = false;                        // Places205 instead of VOC 2007
  std::string voc_path;                       // the folder that holds VOCdevkit/VOC2007
  std::string places_path;                    // the folder that holds trainvalsplit_places205
  uint64_t seed = 0;                          // of the draws
  double cost = 0.5;                          // of the SVMs
  std::vector<int> shots = {1, 2, 4, 8, 16};  // training images per class
  int draws = 5;                              // of training images, for each number of shots
  bool ignore_difficult = false;              // VOC: images of difficult objects count neither way, not as negative
  double tolerance = 1e-4;                    // at which an SVM is done
  int max_passes = 2000;                      // of an SVM over its rows
  std::string output = "lowshot.json";
  Compute compute;
  RunRecord record;                // written to the output
  std::vector<std::string> notes;  // to be printed when the run starts
};

/// The k images per class that one draw takes, class by class; an image that is drawn for two classes comes twice.
/// `of_class`: the images that show each class. The order in which they are taken is drawn from `random` as the
/// published script does, so a seed draws the images it would. A class with fewer than k images gives all it has.
std::vector<uint32_t> draw_images(std::vector<std::vector<uint32_t>> of_class, int k, data::PythonRandom& random);

/// Throws InputError if the output, or the features beside it, is there and moproc did not write it.
void require_lowshot_targets(const LowshotSettings& settings);

/// Computes features of all images that are drawn and tested, trains and tests SVMs for each k and draw; prints a table
/// and writes settings.output. Returns the exit status: 0, or 128 + the signal that stopped it. Throws InputError,
/// DatasetError.
int run_lowshot(const Plan& plan, const LowshotSettings& settings);

}  // namespace moproc::train
