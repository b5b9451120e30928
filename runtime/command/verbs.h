// The table of verbs.
#pragma once

#include <string>
#include <vector>

#include "command/verb.h"

namespace moproc::command {

/// All verbs, in the order of the workflow. The first is used if the command line names none.
const std::vector<Verb>& verbs();

/// The verb of this name. If there is none, throws InputError, which lists the verbs and names the nearest one.
const Verb& verb_named(const std::string& name);

/// The verb of a command line, and the flags that follow it. Arguments that begin with a flag belong to the first verb.
struct Request {
  const Verb& verb;
  std::vector<std::string> flags;
};
Request request_of(int argc, const char* const* argv);

/// Whether --help or -h is among the flags.
bool asks_for_help(const std::vector<std::string>& flags);

}  // namespace moproc::command
