// The checkpoint {epoch, arch, state_dict, optimizer} of the published PyTorch code, and simpler forms of it, as trees
// of values. Files that we write have one more key, `moproc`, with text that the published scripts do not read.
#pragma once

#include <string>

#include "formats/checkpoint_file.h"
#include "formats/pickled_file.h"
#include "formats/value.h"

namespace moproc::formats {

/// The checkpoint in a file whose root is a dict. `weights_key` as in find_weights(). An optimizer that is not SGD's
/// sets optimizer_fault. Throws InputError with `where` and the wrong key.
Checkpoint from_pickle(const PickledData& file, const std::string& weights_key, const std::string& where);

/// The published layout: 651 keys for MoPro with ResNet-50, each with the prefix `module.`, and an optimizer with one
/// group of all parameters in published order, with momentum for those that have it. The metadata of a run is written
/// under `moproc`. arch and epoch must be in the metadata.
Value to_published(const Checkpoint& c);
/// {name: tensor}, in published order.
Value to_state_dict(const Checkpoint& c);

/// The tensors in published order.
std::vector<NamedTensor> in_published_order(const std::vector<NamedTensor>& tensors);

}  // namespace moproc::formats
