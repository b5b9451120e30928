// The command line in tools/cli reads the JSON and puts its own flags on the same page.
#include "command/help.h"

#include <algorithm>

#include "command/verbs.h"
#include "core/json.h"

namespace moproc::command {
namespace {

std::string unit_of(const Flag& f) { return f.arity == Arity::many ? f.unit + "..." : f.unit; }

}  // namespace

std::string help_text(const std::string& program, const Verb& verb) {
  const bool first = verb.name == verbs().front().name;
  const bool alone = std::none_of(verbs().begin(), verbs().end(), [&](const Verb& v) { return v.name == verb.name; });
  std::string text = "usage: " + program + (first || alone ? "" : " " + verb.name) + " " + verb.usage + "\n";
  for (const Verb& v : verbs())
    if (first && v.name != verb.name) text += "       " + program + " " + v.name + " --help\n";
  text += "\n" + verb.about + " In a flag's name, - and _ are the same.\n";
  std::string section;
  const std::unique_ptr<Command> command = verb.make();
  for (const Flag& f : command->flags.all()) {
    if (f.section != section) text += "\n" + (section = f.section) + "\n";
    std::string left = "  ";
    for (size_t i = 0; i < f.names.size(); ++i) left += (i ? ", " : "") + f.names[i];
    if (f.arity != Arity::none) left += " " + unit_of(f);
    left.resize(std::max<size_t>(left.size() + 2, 34), ' ');
    const std::string preset = f.preset();
    text += left + f.help + (preset.empty() ? "" : " [" + preset + "]") + "\n";
  }
  return text;
}

std::string help_json(const Verb& verb) {
  std::string text;
  const std::unique_ptr<Command> command = verb.make();
  for (const Flag& f : command->flags.all()) {
    std::string names;
    for (const std::string& n : f.names) write_json(names += names.empty() ? "" : ", ", n);
    text += text.empty() ? "[" : ",\n ";
    text += JsonLine()
                .add("section", f.section)
                .add_raw("names", "[" + names + "]")
                .add("unit", unit_of(f))
                .add("default", f.preset())
                .add("range", f.range)
                .add("help", f.help)
                .add("recorded", f.key)
                .text();
  }
  return text.empty() ? "[]\n" : text + "]\n";
}

}  // namespace moproc::command
