// moproc lowshot: how good a trained network's features are, by linear SVMs on a few images a class (Goyal et al., ICCV 2019,
// as the published script does it).
#pragma once

#include <cstdint>
#include <vector>

#include "core/plan.h"
#include "data/python_random.h"
#include "train/options.h"

namespace moproc::train {

/// "format" of the results.
inline constexpr const char* kLowshotFormat = "moproc-lowshot-1";

/// The k images a class that one draw takes, class by class; an image that is drawn for two classes comes twice. `of_class`: the
/// images that show each class. The order in which they are taken is drawn from `random` as the published script does, so a seed
/// draws the images it would. A class with fewer than k images gives all it has.
std::vector<uint32_t> draw_images(std::vector<std::vector<uint32_t>> of_class, int k, data::PythonRandom& random);

/// Computes features of all images that are drawn and tested, trains and tests SVMs for each k and draw; prints a table and writes
/// options.output. Returns the exit status: 0, or 128 + the signal that stopped it. Throws InputError, DatasetError.
int run_lowshot(const Plan& plan, const Options& options);

}  // namespace moproc::train
