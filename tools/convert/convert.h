// Conversion of checkpoints between formats: what `moproc-convert` does behind its flags.
#pragma once

#include <string>
#include <vector>

namespace moproc::tools {

struct ConvertOptions {
  std::string in, out;
  std::string to;    // a name of formats(); "": by the extension of `out`
  std::string arch;  // "": as the file says or its tensors show
};

/// A format that can be written.
struct FormatName {
  const char* name;
  std::vector<std::string> extensions;
  const char* what;
};
const std::vector<FormatName>& formats_written();

/// Reads `in`, whatever it is, and writes `out`, which is complete or untouched. Returns what to tell the
/// user, a line each: the first says what was done, the others what was left out or assumed. Throws
/// InputError.
std::vector<std::string> convert(const ConvertOptions& options);

}  // namespace moproc::tools
