// Turns arguments into settings with a table of flags.
#pragma once

#include <string>
#include <vector>

#include "command/flag.h"

namespace moproc::command {

/// Sets the fields of the flags in `args`. Inside a long name, - and _ are the same. Both --name value and --name=value
/// work. A flag of many values takes all arguments up to the next flag. Throws InputError, which names the flag, if a
/// flag is unknown (with the nearest known name), lacks a value, is given twice, or has a value that is not a number or
/// is out of range. Arguments without a flag are values of the verb's flag `rest`.
void parse_flags(const FlagTable& table, const std::vector<std::string>& args);

/// The name nearest to `given`: a name that begins with it, or one that at most three edits make of it and that differs
/// in less than half; "" if there is none.
std::string nearest(const std::string& given, const std::vector<std::string>& names);

}  // namespace moproc::command
