// Converts checkpoints between formats: moproc-convert without its flags.
#pragma once

#include <string>
#include <vector>

namespace moproc::tools {

struct ConvertOptions {
  std::string in, out;
  std::string to;                // a name of formats_written(); "": by the extension of `out`
  std::string arch;              // "": from the file's metadata or its tensors
  std::string weights_key = {};  // which of several networks in `in`; "": the one that find_weights() prefers
};

/// A format that can be written.
struct FormatName {
  const char* name;
  std::vector<std::string> extensions;
  const char* what;
};
const std::vector<FormatName>& formats_written();

/// Reads `in`, in any known format, and writes `out`, which is complete or untouched. Returns lines for the user: the
/// first says what was done, the others what was left out or assumed. Throws InputError.
std::vector<std::string> convert(const ConvertOptions& options);

}  // namespace moproc::tools
