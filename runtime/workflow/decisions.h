// Decisions that a person has taken about the labels of images, usually on the page of a cleaning. They override the
// rule.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "data/dataset.h"

namespace moproc::train {

/// "format" of the file.
inline constexpr const char* kDecisionsFormat = "moproc-decisions-1";

struct Decision {
  enum class Kind { keep, drop, relabel } kind = Kind::keep;
  int64_t label = -1;  // to train with; -1: the image is dropped
};

/// The decisions by index of the image in the list; a path that is listed several times has its decision at each of
/// them. The file is {"format": "moproc-decisions-1", "decisions":
/// [{"image": "google/...jpg", "decision": "keep"}, ...]}; "decision" may also be "drop", or "relabel" with "class" (a
/// number), or "name", or both. Throws InputError, naming the file and the entry, for anything else: an image that is
/// not in the list or has two entries, a class that is unknown, a name that is not that of the number.
std::unordered_map<int64_t, Decision> read_decisions(const std::string& path, const data::Dataset& list,
                                                     int64_t classes);

/// "keep", "drop", "relabel".
const char* name_of(Decision::Kind kind);

}  // namespace moproc::train
