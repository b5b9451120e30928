// Begins a run with the network of another task's checkpoint.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "session/session.h"

namespace moproc::train {

/// Sets trunk and classifier of a session (torchvision's names) from a checkpoint of MoPro (its query encoder), of a
/// classifier, or of PyTorch. Does not change momenta nor, unless `keep_classifier`, the classifier. Returns notes for
/// the user. Throws InputError, naming the first tensor that is missing or has another shape, with both shapes.
std::vector<std::string> load_pretrained(const std::string& path, Session& session, bool keep_classifier);

/// The seed of the run that wrote the file; nothing if it was not written by a run of `verb`.
std::optional<uint64_t> seed_of_run(const std::string& path, const std::string& verb);

}  // namespace moproc::train
