// Writes help pages from the table of flags.
#pragma once

#include <string>

#include "command/verb.h"

namespace moproc::command {

/// The help page of a verb: usage, then each flag with its unit, meaning and default. `program` is the command that
/// starts the binary.
std::string help_text(const std::string& program, const Verb& verb);

/// The flags as JSON, in the order of the page: [{"section", "names": [...], "unit", "default", "range", "help",
/// "recorded"}]. All values are texts: unit is "" for a switch and ends with "..." if any number of values may follow;
/// default is "" if there is none; recorded is the key in checkpoints and logs, "" if the flag is not recorded.
std::string help_json(const Verb& verb);

}  // namespace moproc::command
