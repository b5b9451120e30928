// moproc clean: a trained model judges the label of every training image. Writes the annotation that retraining takes,
// and a report with a line an image.
#pragma once

#include <cstdint>
#include <string>

#include "command/options.h"
#include "core/plan.h"

namespace moproc::train {

/// Paths of what a run writes, from that of the annotation: A.json, A.report.jsonl, A.summary.json; A.json.partial
/// while it is under way.
struct CleanFiles {
  std::string annotation, report, summary, partial;
  explicit CleanFiles(const std::string& annotation);
};

/// Judges the training list of options.data with the checkpoint of options.resume. A run that was stopped goes on where
/// it was when it is started again with the same settings; what it writes is then the same, byte for byte. Returns the
/// exit status: 0, or 128 + the signal that stopped it. Throws InputError and DatasetError.
int run_clean(const Plan& plan, const Options& options);

}  // namespace moproc::train
