// The three spellings of a ResNet's tensors: MoPro's (encoder_q.layer1.0.bn1.weight,
// encoder_q.classifier.weight), torchvision's (layer1.0.bn1.weight, fc.weight), detectron2's
// (res2.0.conv1.norm.weight, no classifier). A vision transformer has timm's names (blocks.0.norm1.weight), alone or
// behind MoPro's prefix; its classifier is called as torchvision calls a ResNet's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "formats/checkpoint_file.h"

namespace moproc::formats {

enum class Naming { mopro, torchvision, detectron2, other };

/// The naming scheme of a checkpoint; torchvision also for a vision transformer alone; `other` for all other models.
Naming naming_of(const Checkpoint& c);

/// The classifier's layer in a single network. A network of another program may have a layer fc of its own; the
/// classifier is then called moproc.fc (models/foreign.ts).
constexpr std::string_view kClassifier = "fc.", kAddedClassifier = "moproc.fc.";
/// Which of the two a checkpoint of a single network has.
std::string_view classifier_layer(const Checkpoint& c);
/// Whether a tensor is the weight or bias of that layer. A foreign network may have other tensors that begin with
/// "fc.".
bool is_classifier(std::string_view name, std::string_view layer);

/// detectron2's name for a name of torchvision; "" for tensors that detectron2 leaves out (fc, classifier).
std::string detectron2_name(std::string_view torchvision);
/// The reverse. Throws InputError for a name that detectron2's ResNet does not have.
std::string torchvision_name(std::string_view detectron2, const std::string& where);

/// Only the query encoder, with torchvision's names, including its momentum. The projection, the key encoder, queue and
/// prototypes are dropped. Throws InputError for `other`.
Checkpoint query_encoder(const Checkpoint& c);

/// The query encoder with MoPro's names.
Checkpoint as_mopro(const Checkpoint& c);

}  // namespace moproc::formats
