// Begins a run with the network of another task's checkpoint.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "session/session.h"

namespace moproc::train {

/// The end of a message about a classifier that does not fit, for verbs that can begin with a new one.
inline constexpr const char* kResetClassifier = "--init-classifier reset begins with a new classifier";

/// The same for verbs that use the classifier as it is.
inline constexpr const char* kNetworkFlags = "finetune and retrain --init-classifier reset train a new classifier";

/// The layer of a session's classifier: formats::kClassifier or kAddedClassifier.
std::string_view classifier_layer(const Session& session);

/// Sets trunk and classifier of a session (torchvision's names) from a checkpoint of MoPro (its query encoder), of a
/// classifier, or of another program (formats/foreign_network.h). Does not change momenta nor, unless
/// `keep_classifier`, the classifier. Returns notes for the user. Throws InputError, naming the number of classes or
/// the first tensor that is missing or has another shape, with both shapes; `remedy` ends a message about the
/// classifier.
std::vector<std::string> load_pretrained(const std::string& path, Session& session, bool keep_classifier,
                                         const std::string& remedy = kResetClassifier);

/// The seed of the run that wrote the file; nothing if it was not written by a run of `verb`.
std::optional<uint64_t> seed_of_run(const std::string& path, const std::string& verb);

}  // namespace moproc::train
