// Writes the settings of a run to its logs.
#pragma once

#include "core/json.h"
#include "train/settings.h"

namespace moproc::train {

/// The value as JSON: a number that may have a fraction has a point or an exponent, whatever its value is.
inline std::string json_value(const Recorded& r) {
  std::string text;
  if (!r.json) write_json(text, r.value);
  else text = r.value + (r.real && r.value.find_first_of(".e") == std::string::npos ? ".0" : "");
  return text;
}

}  // namespace moproc::train
