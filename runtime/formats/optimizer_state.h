// Reads the momentum of SGD from the state_dict of a PyTorch optimizer. Its parameters have no names, only positions:
// the i-th id of param_groups[0].params is the i-th parameter of the network's state_dict.
#pragma once

#include "formats/checkpoint_file.h"
#include "formats/value.h"

namespace moproc::formats {

/// Sets the momentum of `c`, whose tensors must be in the file's order, and lr, momentum and weight_decay of its
/// metadata. If the optimizer is of another kind or does not fit, sets c.optimizer_fault instead.
void read_optimizer(const Value& optimizer, Checkpoint& c);

}  // namespace moproc::formats
