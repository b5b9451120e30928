// From arguments to settings, by a table of flags.
#pragma once

#include <string>
#include <vector>

#include "command/flag.h"

namespace moproc::command {

/// Sets the fields of the flags in `args`. - and _ are the same inside a long name; --name value and --name=value both
/// work; a flag of many values takes all arguments up to the next flag. Throws InputError naming the flag: unknown
/// (with the nearest known name), value missing, not a number, out of range, given twice.
void parse_flags(const FlagTable& table, const std::vector<std::string>& args);

/// The name nearest to `given`: one that it is the beginning of, or one of at most three edits that change less than
/// half of it; "" if there is none.
std::string nearest(const std::string& given, const std::vector<std::string>& names);

}  // namespace moproc::command
