// The common form of all checkpoint formats: named tensors, momentum by parameter, and metadata as text. A reader
// recognises the format by the file's contents.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "formats/safetensors.h"
#include "formats/tensor.h"
#include "formats/value.h"

namespace moproc::formats {

/// __metadata__.format of a safetensors file from a training run: it has everything needed to continue with the same
/// bits.
inline constexpr const char* kRunFormat = "moproc-checkpoint-1";
/// __metadata__.format of a converted file: it has only epoch, arch and hyper-parameters, as far as they were known.
inline constexpr const char* kConvertedFormat = "moproc-converted-1";
/// __metadata__.format of a file with the whole state of an artefact that no training run drives.
inline constexpr const char* kStateFormat = "moproc-state-1";
/// The name of a momentum tensor is this, followed by the name of the parameter.
inline constexpr const char* kMomentumPrefix = "optimizer.momentum.";
/// All states of optimizers begin with this: those of AdamW besides momentum, too.
inline constexpr const char* kOptimizerPrefix = "optimizer.";
/// Whether a state of a run belongs to its optimizer or its dropout, not to its network (models/optim.ts, dropout.ts).
bool is_training_state(std::string_view name);

enum class CheckpointKind {
  safetensors,
  published,   // torch.save of {epoch, arch, state_dict, optimizer}, or with weights under another key
  state_dict,  // torch.save of {name: tensor}
  detectron2,  // pickle of {"model": {name: array}, ...}
};

struct Checkpoint {
  std::string path;
  CheckpointKind kind = CheckpointKind::published;
  std::vector<NamedTensor> tensors;   // in the file's order; names without the `module.` of a wrapper
  std::vector<NamedTensor> momentum;  // by the parameter's name
  std::vector<NamedTensor>
      training;       // of a file of ours: the other tensors of is_training_state(), by their full names
  Metadata metadata;  // of a run: complete; otherwise those of arch, epoch, lr, momentum, weight_decay that are known
  std::vector<std::string> left_out;               // other contents of the file, for a message to the user
  std::string stripped;                            // the prefix that all names have lost, such as "module._orig_mod."
  std::vector<std::string> notes;                  // what was chosen or changed, for messages that begin with the path
  std::map<std::string, std::string> not_tensors;  // what else is among the weights: name and kind
  bool of_convert = false;      // detectron2's names, written by moproc convert: its stride and its images are ours
  std::string optimizer_fault;  // why the momentum of the file's optimizer cannot be read
  std::vector<std::shared_ptr<const void>> memory;  // owns the bytes of the tensors

  /// True if a training run of this program wrote it, so that the metadata is complete.
  bool of_run() const;
  /// True if this program wrote it with the whole state: a training run, or save_state().
  bool has_whole_state() const;
  /// True if this program wrote it in any of its three safetensors formats.
  bool of_moproc() const;
  /// Lines for the user: prefixes, choices and changes; then what was not read.
  std::vector<std::string> said() const;
  /// The tensor with this name, or null.
  const Tensor* find(const std::vector<NamedTensor>& among, const std::string& name) const;

 private:
  bool has_format(std::string_view name) const;
};

/// "tensor conv1.weight is missing"; or what stands there instead, if it is no tensor.
std::string missing(const Checkpoint& c, const std::string& name);

/// The kind for messages, such as "published checkpoint".
const char* show_kind(CheckpointKind kind);

/// Reads a checkpoint of any kind. Throws InputError with the file and the place if it is unreadable, damaged, of no
/// known format, or contradicts itself. Momentum is assigned to parameters by its position in param_groups[0].params.
/// `weights_key` chooses one of several networks, as find_weights() does, or the beginning of names.
Checkpoint open_checkpoint(const std::string& path, const std::string& weights_key = "");

/// The same for bytes, which must outlive the result. Messages use `where` as the name of the file.
Checkpoint parse_checkpoint(ByteSpan bytes, const std::string& where, const std::string& weights_key = "");

/// Why the text of an epoch or arch of another program cannot be used: "'abc', not a whole number from 0 to ..."; "" if
/// it can.
std::string epoch_fault(const std::string& text);
std::string arch_fault(const std::string& text);

/// Keeps the tensors whose names begin with `prefix`, and removes it.
void keep_prefix(Checkpoint& c, const std::string& prefix);

}  // namespace moproc::formats
