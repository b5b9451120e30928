// The published PyTorch code's checkpoint {epoch, arch, state_dict, optimizer} and its plainer relatives, as
// trees of values. Ours has one key more, `moproc`, with text that the published scripts do not look at.
#pragma once

#include <string>

#include "formats/checkpoint_file.h"
#include "formats/value.h"

namespace moproc::formats {

/// Throw InputError naming `where` and the key that is wrong.
Checkpoint from_published(const Dict& root, const std::string& where);
Checkpoint from_state_dict(const Dict& root, const std::string& where);
/// Of {"model": {name: tensor}}.
Checkpoint from_model(const Dict& root, const std::string& where);

/// The published layout: 651 keys for MoPro with ResNet-50, each behind `module.`, and an optimizer with one
/// group of all parameters in published order, momentum for those that have some. Metadata of a run goes
/// under `moproc`; arch and epoch must be in the metadata.
Value to_published(const Checkpoint& c);
/// {name: tensor}, in published order.
Value to_state_dict(const Checkpoint& c);

/// The tensors in published order.
std::vector<NamedTensor> in_published_order(const std::vector<NamedTensor>& tensors);

}  // namespace moproc::formats
