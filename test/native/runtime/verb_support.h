// A verb's settings after its command line was parsed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "command/parse.h"
#include "command/verbs.h"

namespace moproc::test {

/// The verb `name`, whose settings are of this type, with these flags.
template <class Settings>
std::unique_ptr<command::CommandOf<Settings>> parsed(const std::string& name, const std::vector<std::string>& args) {
  std::unique_ptr<command::Command> made = command::verb_named(name).make();
  auto* const typed = dynamic_cast<command::CommandOf<Settings>*>(made.get());
  if (!typed) throw std::logic_error(name + " has other settings");
  made.release();
  std::unique_ptr<command::CommandOf<Settings>> command(typed);
  command::parse_flags(command->flags, args);
  return command;
}

}  // namespace moproc::test
