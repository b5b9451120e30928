// Features of a list of images in memory, and in a file while they are computed, so that a run that was stopped goes
// on.
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

/// A row an image, in list order.
struct Features {
  int64_t width = 0;
  std::vector<float> rows;      // (images, width); NaN where the image could not be read
  std::vector<int64_t> broken;  // images that could not be
  const float* row(int64_t image) const { return rows.data() + image * width; }
};

/// What the session's program `embed` makes of the list, under the test transform. `file` holds a line of settings
/// (`network`, the digest of the checkpoint, among them), then the rows; it grows by whole batches, and one of the same
/// settings is gone on with. Shows progress. Returns nothing when a signal ended it. Throws InputError: no feature in
/// the program, a file of other settings; DatasetError.
std::optional<Features> compute_features(Session& session, const data::Dataset& list, const std::string& network,
                                         const std::string& file, int workers, Console& console,
                                         const Interrupt& interrupt);

/// SHA-256 of all state that features depend on: what no step of retraining changes.
std::string trunk_digest(const Session& session);

/// Divides each row by (its length + 1e-5), as the published low-shot script does, in f32.
void normalise_rows(Features& features);

}  // namespace moproc::train
