// Finds the weights in a checkpoint of any program: {"state_dict": {name: tensor}}, {"ema": {"model": ...}}, or the
// dict {name: tensor} alone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "formats/value.h"

namespace moproc::formats {

struct FoundWeights {
  std::string path;  // "state_dict", "ema.model"; "": the root itself
  const Dict* dict = nullptr;
  std::string prefix;               // only the tensors whose names begin with it are wanted: "teacher."
  std::vector<std::string> others;  // paths of further weights in the file
  bool trained = true;              // whether the file's optimizer belongs to them: no average, and not chosen by a key
};

/// Whether a path of keys, or the prefix of names, is that of weights that follow others as a moving average.
bool is_average(std::string_view path);

/// The weights in `root`, which must outlive the result. `key`: their path, or the first part of it, or the path and
/// the beginning of names ("model.teacher"); "": the usual keys in the order in which programs use them, averages last;
/// then any other key, if only one has weights. Throws InputError with `where`, saying what the file has instead, and
/// how to choose if it has several.
FoundWeights find_weights(const Dict& root, const std::string& key, const std::string& where);

}  // namespace moproc::formats
