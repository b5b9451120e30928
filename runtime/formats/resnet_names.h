// The three spellings of a ResNet's tensors: MoPro's (encoder_q.layer1.0.bn1.weight,
// encoder_q.classifier.weight), torchvision's (layer1.0.bn1.weight, fc.weight), detectron2's
// (res2.0.conv1.norm.weight, no classifier).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "formats/checkpoint_file.h"

namespace moproc::formats {

enum class Naming { mopro, torchvision, detectron2, other };

/// Which spelling a checkpoint's names have; `other` for a model that is no ResNet of these.
Naming naming_of(const Checkpoint& c);

/// torchvision's name, or detectron2's where that is meant, from the other; "" for what detectron2 leaves out
/// (fc, classifier).
std::string detectron2_name(std::string_view torchvision);
/// Throws InputError for a name that detectron2's ResNet does not have.
std::string torchvision_name(std::string_view detectron2, const std::string& where);

/// The query encoder alone under torchvision's names, momentum included. What it does not have (the
/// projection, the key encoder, queue and prototypes) is dropped. Throws InputError for `other`.
Checkpoint query_encoder(const Checkpoint& c);

/// A query encoder under MoPro's names.
Checkpoint as_mopro(const Checkpoint& c);

}  // namespace moproc::formats
