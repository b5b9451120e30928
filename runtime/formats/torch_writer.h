// Writes files for torch.load (also with weights_only=True), and for pickle.load of a Python with numpy.
#pragma once

#include <string>

#include "formats/value.h"

namespace moproc::formats {

/// Writes torch.save's zip form to a temporary file and renames it. Throws InputError; an older `path` is then
/// unchanged.
void write_torch(const std::string& path, const Value& root);

/// The same for a plain pickle whose tensors are numpy arrays.
void write_numpy_pickle(const std::string& path, const Value& root);

}  // namespace moproc::formats
