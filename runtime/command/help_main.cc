// moproc-train-help [VERB] [--json]: prints the flags of every training binary, so that they can be listed before one
// is compiled. moproc-train-help launch: what the environment says about ranks, one line per variable.
#include <cstdio>
#include <cstring>

#include "comm/launch.h"
#include "command/flag_table.h"
#include "command/flags.h"
#include "core/error.h"
#include "core/json.h"

namespace {

int explain_launch() {
  using namespace moproc::comm;
  try {
    const Launch l = plan_launch({}, process_environment()).launch;
    if (l.by.empty())
      return std::puts("one process: no launcher has set RANK, OMPI_COMM_WORLD_RANK or SLURM_PROCID"), 0;
    std::printf("%s: rank %d of %d, %d of %d on this machine", l.by.c_str(), l.rank, l.ranks, l.local_rank,
                l.local_ranks);
    if (!l.master.host.empty()) std::printf("; rank 0 is at %s, port %d", l.master.host.c_str(), l.master.port);
    std::puts("");
    for (const std::string& line : l.read) std::puts(line.c_str());
    return 0;
  } catch (const moproc::InputError& e) {
    std::printf("%s\n", e.what());
    return 2;
  }
}

/// The flags as a JSON list; `unit` is empty for a switch.
void print_json(moproc::train::Verb verb) {
  using namespace moproc;
  std::string all;
  for (const train::Flag& f : train::flag_table(verb)) {
    std::string names;
    for (const std::string& name : f.names) write_json(names += names.empty() ? "" : ",", name);
    JsonLine line;
    line.add("section", f.section).add_raw("names", "[" + names + "]").add("unit", f.unit).add("default", f.preset);
    line.add("range", "").add("help", f.help);
    all += (all.empty() ? "[" : ",\n") + line.text();
  }
  std::printf("%s]\n", all.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "launch") == 0) return explain_launch();
  const moproc::train::Verb verb = moproc::train::verb_of(argc > 1 ? argv[1] : "");
  if (argc > 2 && std::strcmp(argv[2], "--json") == 0) return print_json(verb), 0;
  std::fputs(moproc::train::help_text("train", verb).c_str(), stdout);
  return 0;
}
