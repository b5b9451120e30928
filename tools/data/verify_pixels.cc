// `moproc-data verify-pixels DIR`: prints how close our pixel operations are to reference pictures, as a table.
#include <cstdio>

#include "commands.h"
#include "flags.h"
#include "golden.h"

namespace moproc::tools {
namespace {

constexpr const char* verify_usage =
    "Usage: moproc data verify-pixels DIR\n"
    "\n"
    "DIR holds cases.json, in/ and out/. `cases` is a list of {in, ops, out}: the file in/IN is converted to RGB, ops\n"
    "are applied to it in order, and the result is compared with out/OUT. Operations: decode; resize S (shorter "
    "side);\n"
    "center_crop S; resized_crop TOP LEFT HEIGHT WIDTH S; grayscale; brightness F; contrast F; saturation F; hue F;\n"
    "hflip. Files that are listed in `unreadable` and `truncated` must be refused. A case counts for every operation\n"
    "that it uses. The exit code is 1 when a value differs by more than 1 of 255, or such a file is accepted.\n";

int report(const Verdict& verdict) {
  std::printf("%-14s %6s %6s  %s\n", "operation", "cases", "exact", "largest difference (of 255)");
  std::string inexact;
  for (const auto& [kind, tally] : verdict.kinds) {
    std::printf("%-14s %6d %6d  %d\n", kind.c_str(), tally.cases, tally.exact, tally.largest);
    if (tally.exact != tally.cases) inexact += " " + kind;
  }
  std::printf("%s%s\n", inexact.empty() ? "every operation is bit-exact" : "not bit-exact:", inexact.c_str());
  bool accepted = false;
  for (const auto& [name, reason] : verdict.refusals) {
    accepted |= reason.empty();
    if (reason.empty()) std::printf("accepted, but should be refused: %s\n", name.c_str());
    else std::printf("refused, as it should be: %s: %s\n", name.c_str(), reason.c_str());
  }
  for (const std::string& failure : verdict.failures) std::printf("wrong: %s\n", failure.c_str());
  return accepted || !verdict.failures.empty() ? 1 : 0;
}

}  // namespace

int run_verify_pixels(const Args& args) {
  const Arguments given = parse_flags(args, {});
  if (given.help) {
    std::fputs(verify_usage, stdout);
    return 0;
  }
  if (given.positional.size() != 1) throw UsageError("one folder is wanted (--help says of what form)");
  const Golden golden = read_golden(given.positional[0]);
  if (golden.cases.empty()) throw UsageError("" + given.positional[0] + "/cases.json has no case");
  return report(verify(golden));
}

}  // namespace moproc::tools
