// Writes files that torch.load (weights_only=True, too) and pickle.load of a Python with numpy read.
#pragma once

#include <string>

#include "formats/value.h"

namespace moproc::formats {

/// Writes torch.save's zip form by way of a temporary file that is renamed. Throws InputError; an older
/// `path` is then untouched.
void write_torch(const std::string& path, const Value& root);

/// The same for a plain pickle whose tensors are numpy arrays.
void write_numpy_pickle(const std::string& path, const Value& root);

}  // namespace moproc::formats
