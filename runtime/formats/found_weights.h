// Finds the weights in a checkpoint of any program: {"state_dict": {name: tensor}}, {"ema": {"model": ...}}, or the
// dict {name: tensor} alone.
#pragma once

#include <string>
#include <vector>

#include "formats/value.h"

namespace moproc::formats {

struct FoundWeights {
  std::string path;  // "state_dict", "ema.model"; "": the root itself
  const Dict* dict = nullptr;
  std::string prefix;               // only the tensors whose names begin with it are wanted: "teacher."
  std::vector<std::string> others;  // paths of further weights in the file
};

/// The weights in `root`, which must outlive the result. `key`: their path, or the first part of it, or the path and
/// the beginning of names ("model.teacher"); "": the usual keys in the order in which programs use them, averages last;
/// then any other key, if only one has weights. Throws InputError with `where`, saying what the file has instead, and
/// how to choose if it has several.
FoundWeights find_weights(const Dict& root, const std::string& key, const std::string& where);

}  // namespace moproc::formats
