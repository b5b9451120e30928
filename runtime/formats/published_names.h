// Names of tensors in the published MoPro code and in torchvision's ResNets, and their order in PyTorch. The order
// matters, because a PyTorch optimizer identifies its parameters only by their position.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace moproc::formats {

/// True for the tensors of torch's model.parameters(), so not for BatchNorm's running values, the queue, its pointer
/// and the prototypes.
bool is_parameter(std::string_view name);

/// The indices of `names` in published order: buffers of the model, encoder_q, encoder_k; within an encoder conv1, bn1,
/// the layers, classifier, fc1, fc2. If one of the names is not a published one, the given order.
std::vector<size_t> published_order(const std::vector<std::string>& names);

/// The architecture ("resnet50") whose blocks and convolutions have the names of one encoder (all below `prefix`); ""
/// if it is not a ResNet of 10, 18, 34, 50, 101 or 152 layers.
std::string arch_of(const std::vector<std::string>& names, std::string_view prefix);

/// Whether it is the name of one of these: "resnet50".
bool is_arch(std::string_view name);

/// `name` without `prefix`; empty if it does not begin with it.
std::string_view behind(std::string_view prefix, std::string_view name);

}  // namespace moproc::formats
