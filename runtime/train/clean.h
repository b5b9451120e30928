// moproc clean: a trained model judges the label of every training image. Writes the annotation that retraining takes, and
// a report with a line an image.
#pragma once

#include <cstdint>
#include <string>

#include "core/plan.h"
#include "train/options.h"

namespace moproc::train {

/// Paths of what a run writes, from that of the annotation: A.json, A.report.jsonl, A.summary.json; A.json.partial while it
/// is under way.
struct CleanFiles {
  std::string annotation, report, summary, partial;
  explicit CleanFiles(const std::string& annotation);
};

/// "format" of the summary, and of the first line of the partial file.
inline constexpr const char* kCleanSummary = "moproc-clean-1";
inline constexpr const char* kCleanPartial = "moproc-clean-partial-1";

/// SHA-256 of the two files that have no room for a mark, as the summary has them; "" where it has not, or is missing.
struct CleanDigests {
  std::string annotation, report;
};
CleanDigests read_digests(const std::string& summary);

/// Judges the training list of options.data with the checkpoint of options.resume. A run that was stopped goes on where it
/// was when it is started again with the same settings; what it writes is then the same, byte for byte. Returns the exit
/// status: 0, or 128 + the signal that stopped it. Throws InputError and DatasetError.
int run_clean(const Plan& plan, const Options& options);

}  // namespace moproc::train
