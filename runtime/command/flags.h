// The command line of a training binary: one table of flags, from which parsing and --help are made.
#pragma once

#include <string>
#include <vector>

#include "command/options.h"
#include "core/plan.h"

namespace moproc::train {

/// Parses argv[1..]: a verb (`clean`; none: training), then flags. `-` and `_` are the same inside a long name; `--name
/// value` and `--name=value` both work. Throws InputError naming the flag: unknown, value missing, not a number or out
/// of range, given twice. `help` is set, and all but the verb left as it was, when --help or -h is among the arguments.
Options parse_flags(int argc, const char* const* argv, bool& help);

/// The text of --help: each flag with its unit, default and meaning.
std::string help_text(const std::string& program, Verb verb);

/// Throws InputError, naming flag, value and what the artefact holds, where a flag contradicts what is
/// compiled in, and where the flags contradict each other.
void check_against(const Options& options, const Plan& plan);

}  // namespace moproc::train
