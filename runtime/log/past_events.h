// The event files that earlier processes of a run have left in its folder.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace moproc::train {

struct RunPlace;

/// Beginning of the names of event files.
inline constexpr std::string_view kEventPrefix = "events.out.tfevents.";
/// The writer that the first event of our files names.
inline constexpr std::string_view kEventWriter = "moproc";
/// Tags that begin with it count steps; all others count epochs.
inline constexpr std::string_view kStepTag = "step/";
inline constexpr std::string_view kSettingsTag = "settings";
inline constexpr std::string_view kExperimentTag = "_hparams_/experiment";
inline constexpr std::string_view kSessionStartTag = "_hparams_/session_start_info";
inline constexpr std::string_view kSessionEndTag = "_hparams_/session_end_info";

struct PastEvents {
  int64_t removed = 0;          // scalars
  int64_t latest = 0;           // the largest time in the name of a file, in seconds since 1970
  bool has_experiment = false;  // what stays has the first records of the HParams plugin
};

/// Cuts moproc's event files in the folder before their first event that lies after `from`, or that is incomplete, and
/// removes files of which nothing is left. Whoever else wrote an event file there, it stays as it is. Throws
/// InputError if a file cannot be cut.
PastEvents remove_events_after(const std::string& folder, const RunPlace& from);

}  // namespace moproc::train
