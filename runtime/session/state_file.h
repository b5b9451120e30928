// The state of a session in a file: every state tensor except derived ones, under the plan's names and shapes.
#pragma once

#include <string>
#include <vector>

#include "formats/checkpoint_file.h"
#include "formats/safetensors.h"
#include "session/session.h"

namespace moproc {

/// The state tensors that files contain, in the plan's order: all that are not derived.
std::vector<int> saved_tensors(const Plan& plan);

/// Throws InputError, naming the remedy, unless save_state() may write `path`: there is nothing, or an older state
/// file.
void require_state_file(const std::string& path);

/// Writes the state as safetensors; `metadata` is added to the file's own: format, artefact and plan_digest. An older
/// state file is replaced only once the new one is complete. Throws InputError, naming the file, if something else is
/// there, such as the checkpoint of a training run, or if the file cannot be written.
void save_state(const std::string& path, const Session& session, formats::Metadata metadata = {});

/// Sets the state from a checkpoint of any kind. Checks all names, types and shapes before it sets the first tensor. If
/// another program's file lacks momenta or BatchNorm's counters, they become zero, and the returned notes for the user
/// say so; with `zero_optimizer`, all states of the optimizer become zero. Throws InputError, naming the file and the
/// tensor.
std::vector<std::string> set_state(const formats::Checkpoint& from, Session& session, bool zero_optimizer = false);

/// Sets only the tensors that the file has, and those that begin as copies of these. Throws InputError, naming file and
/// tensor, if the session has no such tensor or one of another shape.
void set_initial(const formats::Checkpoint& from, Session& session);

/// Whether each tensor of the state has the bytes that it has in `from`, from which set_state() has set it.
bool equals_state(const formats::Checkpoint& from, const Session& session);

}  // namespace moproc
