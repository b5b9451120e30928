// To add a verb: write NAME_verb.cc, which defines NAME_verb(), and add a line here.
#include "command/verbs.h"

#include <algorithm>

#include "command/parse.h"
#include "core/error.h"

#define MOPROC_VERBS(verb) \
  verb(train) verb(clean) verb(retrain) verb(finetune) verb(lowshot) verb(evaluate) verb(predict)

namespace moproc::command {

#define MOPROC_DECLARE(name) Verb name##_verb();
MOPROC_VERBS(MOPROC_DECLARE)

#define MOPROC_LIST(name) name##_verb(),
const std::vector<Verb>& verbs() {
  static const std::vector<Verb> all = {MOPROC_VERBS(MOPROC_LIST)};
  return all;
}

const Verb& verb_named(const std::string& name) {
  std::vector<std::string> names;
  for (const Verb& v : verbs()) {
    if (v.name == name) return v;
    names.push_back(v.name);
  }
  const std::string near = nearest(name, names);
  throw InputError("unknown verb " + name + (near.empty() ? "" : "; did you mean " + near + "?") + " (the verbs are " +
                   show_choices(names) + ")");
}

Request request_of(int argc, const char* const* argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (args.empty() || args[0].starts_with('-')) return {verbs().front(), args};
  return {verb_named(args[0]), {args.begin() + 1, args.end()}};
}

bool asks_for_help(const std::vector<std::string>& flags) {
  return std::any_of(flags.begin(), flags.end(), [](const std::string& f) { return f == "--help" || f == "-h"; });
}

}  // namespace moproc::command
