// Brings the ResNet in a checkpoint of any program into the form that resnet_names.h knows: its names begin where the
// network begins, its classifier is called fc, and its values are f32.
#pragma once

#include <string>

#include "formats/checkpoint_file.h"

namespace moproc::formats {

/// Files of ours, and files without a ResNet, stay as they are. Otherwise finds the prefix of the network by its
/// tensors (such as `module._orig_mod.backbone.`), removes it, drops tensors outside it except a classifier, and
/// converts f16, bf16 and f64 to f32. The checkpoint's notes say so. Throws InputError for a ResNet of another
/// structure (deep stem, pooling shortcuts, squeeze-and-excitation, groups), and for a value beyond f32.
Checkpoint as_network(Checkpoint c);

/// open_checkpoint(), then as_network().
Checkpoint open_network(const std::string& path, const std::string& weights_key = "");

}  // namespace moproc::formats
