// Looks each argument up in the table.
#include "command/parse.h"

#include <algorithm>
#include <set>

#include "core/error.h"

namespace moproc::command {
namespace {

bool is_flag(const std::string& arg) {
  return arg.size() > 1 && arg[0] == '-' && !(arg[1] >= '0' && arg[1] <= '9') && arg[1] != '.';
}

/// How many characters have to be inserted, removed, replaced or swapped with the next one to turn a into b.
size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i)
    for (size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1] ? 1 : 0)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

const Flag& known_flag(const FlagTable& table, const std::string& name) {
  if (const Flag* const f = table.find(name)) return *f;
  std::vector<std::string> names;
  for (const Flag& f : table.all())
    for (const std::string& n : f.names)
      if (n.starts_with("--")) names.push_back(n);
  const std::string near = nearest(name, names);
  throw InputError("unknown flag " + name + (near.empty() ? "" : "; did you mean " + near + "?") +
                   " (--help lists all flags)");
}

}  // namespace

std::string nearest(const std::string& given, const std::vector<std::string>& names) {
  constexpr size_t kShortest = 4, kMost = 3;
  std::string best;
  size_t least = kMost + 1;
  for (const std::string& n : names) {
    const size_t d = given.size() >= kShortest && n.starts_with(given) ? 1 : distance(given, n);
    if (d >= least || 2 * d >= std::max(given.size(), n.size()) - std::min<size_t>(2, n.size())) continue;
    least = d;
    best = n;
  }
  return best;
}

void parse_flags(const FlagTable& table, const std::vector<std::string>& args) {
  std::set<const Flag*> seen;
  const auto rest = std::find_if(table.all().begin(), table.all().end(), [](const Flag& f) { return f.rest; });
  std::vector<std::string> without_flag;
  for (size_t i = 0; i < args.size(); ++i) {
    if (!is_flag(args[i])) {
      if (rest == table.all().end()) throw InputError("'" + args[i] + "' is not a flag (--help lists all flags)");
      without_flag.push_back(args[i]);
      continue;
    }
    std::vector<std::string> values;
    std::string name = args[i];
    const size_t equal = name.starts_with("--") ? name.find('=') : std::string::npos;
    if (equal != std::string::npos) {
      values.push_back(name.substr(equal + 1));
      name.resize(equal);
    }
    const Flag& flag = known_flag(table, name);
    if (!seen.insert(&flag).second) throw InputError(name + " is given twice");
    const bool separate = equal == std::string::npos;  // values are arguments of their own
    if (flag.arity == Arity::none) {
      if (!separate) throw InputError(name + " takes no value");
    } else if (flag.arity == Arity::one) {
      if (separate && (i + 1 >= args.size() || is_flag(args[i + 1]))) throw InputError(name + " needs a value");
      if (separate) values.push_back(args[++i]);
    } else if (separate) {
      while (i + 1 < args.size() && !is_flag(args[i + 1])) values.push_back(args[++i]);
    }
    flag.set(name, values);
  }
  if (without_flag.empty()) return;
  if (seen.contains(&*rest)) throw InputError("'" + without_flag.front() + "': give all of them to " + rest->name());
  rest->set(rest->name(), without_flag);
}

}  // namespace moproc::command
