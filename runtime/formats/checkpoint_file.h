// What every checkpoint format has in common: named tensors, momentum by parameter, and what the file says
// about itself as text. Reading decides by content which format it is.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "formats/safetensors.h"
#include "formats/tensor.h"
#include "formats/value.h"

namespace moproc::formats {

/// __metadata__.format of a safetensors file written by a training run: everything needed to go on exactly.
inline constexpr const char* kRunFormat = "moproc-checkpoint-1";
/// The same of one converted from elsewhere: epoch, arch and hyper-parameters where they were known, nothing
/// else.
inline constexpr const char* kConvertedFormat = "moproc-converted-1";
/// Momentum tensors have the parameter's name behind this.
inline constexpr const char* kMomentumPrefix = "optimizer.momentum.";

enum class CheckpointKind {
  safetensors,
  published,   // torch.save of {epoch, arch, state_dict, optimizer}
  state_dict,  // torch.save of {name: tensor}
  detectron2,  // pickle of {"model": {name: array}, ...}
};

struct Checkpoint {
  std::string path;
  CheckpointKind kind = CheckpointKind::published;
  std::vector<NamedTensor> tensors;   // in the file's order; without the `module.` of a parallel wrapper
  std::vector<NamedTensor> momentum;  // by the parameter's name
  Metadata metadata;  // of a run: all of it; else those of arch, epoch, lr, momentum, weight_decay known
  std::vector<std::string> left_out;                // what the file holds besides, for the user to read
  std::vector<std::shared_ptr<const void>> memory;  // what the tensors lie in

  /// Written by a training run of ours, so that metadata is complete.
  bool of_run() const;
  /// Null when there is none of this name.
  const Tensor* find(const std::vector<NamedTensor>& among, const std::string& name) const;
};

/// "published checkpoint": for messages.
const char* show_kind(CheckpointKind kind);

/// Reads a checkpoint of any kind. Throws InputError naming the file and the place: unreadable, of no known
/// format, damaged, or with contents that contradict each other. Momentum is mapped to parameters by its
/// place in param_groups[0].params.
Checkpoint open_checkpoint(const std::string& path);

/// The same of bytes that must outlive the result; `where` stands for the file in messages.
Checkpoint parse_checkpoint(ByteSpan bytes, const std::string& where);

}  // namespace moproc::formats
