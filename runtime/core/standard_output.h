// Whether what a program printed has arrived.
#pragma once

#include <string>

namespace moproc {

/// Writes out what is buffered for stdout, and remembers the first failure.
void flush_output();

/// As flush_output(). Returns why something could not be written since the program began, such as
/// "No space left on device"; "" if everything was written, or if the reader of a pipe has closed it, which is no
/// error.
std::string output_failure();

/// The exit status of a program that would end with `status`: 1 instead of 0 if its output could not be written, which
/// is then said on stderr. Messages begin with `name`.
int after_output(int status, const std::string& name);

}  // namespace moproc
