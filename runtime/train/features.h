// Features of a list of images. They are held in memory, and written to a file as they are computed, so that a stopped
// run can continue.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "log/console.h"
#include "session/session.h"
#include "train/interrupt.h"

namespace moproc::train {

/// "format" in the first line of the file.
inline constexpr const char* kFeaturesFormat = "moproc-features-1";

/// One row per image, in list order.
struct Features {
  int64_t width = 0;
  std::vector<float> rows;      // (images, width); NaN if the image could not be read
  std::vector<int64_t> broken;  // indices of the images that could not be read, ascending
  const float* row(int64_t image) const { return rows.data() + image * width; }
};

/// Computes the features of the list with the session's program `embed` and the test transform. `file` gets a line of
/// settings (`network`, a digest of the network, among them), then the rows. It grows by whole batches; if it exists
/// with the same settings, the computation continues from it. Shows progress. Returns nothing if a signal ended it.
/// Throws InputError if the program has no features or the file has other settings, and DatasetError.
std::optional<Features> compute_features(Session& session, const data::Dataset& list, const std::string& network,
                                         const std::string& file, int workers, Console& console,
                                         const Interrupt& interrupt);

/// SHA-256 of all state except the classifier, momenta and derived state: of everything that features depend on.
std::string trunk_digest(const Session& session);

/// Divides each row by (its length + 1e-5) in f32, as the published low-shot script does.
void normalise_rows(Features& features);

}  // namespace moproc::train
