// The files that a cleaning writes: annotation, report, table and summary, made from the judgements of all images.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "data/dataset.h"
#include "workflow/decisions.h"

namespace moproc::train {

/// Paths of the files that a run writes, made from the path of the annotation: A.json, A.report.jsonl, A.csv and
/// A.summary.json, and A.json.partial during the run.
struct CleanFiles {
  std::string annotation, report, csv, summary, partial;
  explicit CleanFiles(const std::string& annotation);
};

/// "format" of the summary, and of the first line of the partial file.
inline constexpr const char* kCleanSummary = "moproc-clean-1";
inline constexpr const char* kCleanPartial = "moproc-clean-partial-1";

/// The summary's SHA-256 of the three files whose formats have no room for a mark; "" if the summary has none or is
/// missing.
struct CleanDigests {
  std::string annotation, report, csv;
};
CleanDigests read_digests(const std::string& summary);

/// Throws InputError if one of the files exists and moproc did not write it.
void require_clean_files(const CleanFiles& files);

/// The number of images with each verdict.
struct VerdictCounts {
  int64_t kept = 0, relabelled = 0, dropped = 0, unreadable = 0;
  int64_t all() const { return kept + relabelled + dropped + unreadable; }
  void add(std::string_view verdict);
};

/// What the decisions did. Those about images that cannot be read have no effect, except to drop them.
struct DecisionCounts {
  int64_t keep = 0, drop = 0, relabel = 0;
  int64_t changed = 0;     // verdicts or labels that the rule had given
  int64_t unreadable = 0;  // without effect
};

struct CleanResults {
  const data::Dataset& list;
  std::string_view header;                          // JSON of the settings
  std::string_view lines;                           // of the report, one per image of the list, by the rule alone
  std::unordered_map<int64_t, Decision> decisions;  // by index of the image
};

/// Applies the decisions and writes all files. The columns of the table are kCleanColumns. Throws InputError.
struct CleanOutcome {
  VerdictCounts images;
  DecisionCounts decisions;
};
CleanOutcome write_clean_files(const CleanFiles& files, const CleanResults& results);

/// One row per image. `label` is the class to train with, empty for images that are left out; `decision` is empty
/// unless a person has decided.
inline constexpr const char* kCleanColumns =
    "path,given,given_name,given_score,best,best_name,best_score,verdict,label,decision";

}  // namespace moproc::train
