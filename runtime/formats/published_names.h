// Names of tensors in the published MoPro code and in torchvision's ResNets, and the order in which PyTorch
// lists them. The order matters: a PyTorch optimizer knows its parameters only by their place in it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace moproc::formats {

/// True for what torch's model.parameters() yields: not for BatchNorm's running values, the queue, its
/// pointer and the prototypes.
bool is_parameter(std::string_view name);

/// The places of `names` in published order: buffers of the model, encoder_q, encoder_k; in an encoder conv1,
/// bn1, the layers, classifier, fc1, fc2. The given order where one of the names is not among the published
/// ones.
std::vector<size_t> published_order(const std::vector<std::string>& names);

/// "resnet50" from the blocks and convolutions that the names of one encoder (all below `prefix`) show; ""
/// when no ResNet of 10, 18, 34, 50, 101 or 152 layers has them.
std::string arch_of(const std::vector<std::string>& names, std::string_view prefix);

/// name without prefix; empty when it does not begin so.
std::string_view behind(std::string_view prefix, std::string_view name);

}  // namespace moproc::formats
