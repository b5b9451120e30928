// The network of another task's checkpoint as the beginning of this one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "session/session.h"

namespace moproc::train {

/// Sets trunk and classifier of a session (torchvision's names) from a checkpoint of MoPro (its query encoder), of a
/// classifier, or of PyTorch. Momenta, and with `keep_classifier` false the classifier, stay as they are. Returns what
/// the user should know. Throws InputError naming the first tensor that is missing or of another shape, with both
/// shapes.
std::vector<std::string> load_pretrained(const std::string& path, Session& session, bool keep_classifier);

/// The seed of the run that wrote the file; nothing when that was no run of `verb` (name_of).
std::optional<uint64_t> seed_of_run(const std::string& path, const std::string& verb);

}  // namespace moproc::train
