// The error every part of the runtime throws for bad input: a flag, a file, a name. The binary turns it into
// exit status 2; anything else that escapes is our own fault and exits 1.
#pragma once

#include <stdexcept>
#include <string>

namespace moproc {

/// What the user gave cannot be used. what() names the flag, file or tensor, and the reason.
class InputError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace moproc
