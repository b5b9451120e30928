// InputError: what every part of the runtime throws for bad input (a flag, a file, a name). The binary then exits with
// status 2. Any other exception that reaches main() is a fault of moproc and makes it exit with status 1.
#pragma once

#include <stdexcept>
#include <string>

namespace moproc {

/// The user's input cannot be used. what() names the flag, file or tensor, and the reason.
class InputError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace moproc
