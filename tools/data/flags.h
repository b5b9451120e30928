// Command-line flags of a native tool. One table defines parsing, defaults and --help. Surprising: `--num_class` and
// `--num-class` are the same flag, as users of the published scripts expect.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

namespace moproc::tools {

// Wrong use of the command line. main() prints what() and exits with status 2.
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Flag {
  using Target = std::variant<std::string*, int*, std::uint64_t*, double*, bool*>;
  std::string name;  // without the dashes
  std::string meta;  // name of the value in --help, with its unit; empty for a switch
  std::string help;
  Target target;     // holds the default before parsing
  double least = 0;  // numbers: the allowed range
  double most = 0;
};

struct Arguments {
  std::vector<std::string> positional;
  bool help = false;
};

// Sets the flags' targets. Accepts `--flag value` and `--flag=value`. Throws UsageError, which names the flag and its
// range.
Arguments parse_flags(const std::vector<std::string>& args, const std::vector<Flag>& flags);

// The lines of --help about these flags, each with its range and default, of at most 120 columns.
std::string describe_flags(const std::vector<Flag>& flags);

// The page of --help: `usage`, in which "Example" begins the last part, with the flags before that part.
std::string help_page(const std::string& usage, const std::string& flags);

}  // namespace moproc::tools
