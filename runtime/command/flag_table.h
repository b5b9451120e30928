// The table of flags behind parsing and help.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "command/options.h"

namespace moproc::train {

enum class Arity { none, one, many };

/// What stood on the command line for one flag.
struct Value {
  std::string flag;
  std::vector<std::string> texts;
};

struct Flag {
  std::string section;
  std::vector<std::string> names;
  Arity arity;
  std::string unit;
  std::string preset;  // the default, as help shows it
  std::string help;
  std::function<void(Options&, const Value&)> set;  // throws InputError
};

/// The flags of a verb, in the order in which help lists them.
std::vector<Flag> flag_table(Verb verb);

/// Options as they are when no flag is given.
Options defaults(Verb verb);

}  // namespace moproc::train
