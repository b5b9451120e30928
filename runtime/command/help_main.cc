// moproc-train-help knows the flags of every training binary before one is compiled:
// - moproc-train-help [VERB [--json]] prints the flags as text, or as JSON (command/help.h);
// - moproc-train-help --verbs prints the names of the verbs, one per line;
// - moproc-train-help launch prints what the environment says about ranks, one line per variable;
// - moproc-train-help preflight [VERB] FLAGS checks the command (command/preflight.h).
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "comm/launch.h"
#include "command/help.h"
#include "command/parse.h"
#include "command/preflight.h"
#include "command/verbs.h"
#include "core/error.h"

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

}  // namespace

int main(int argc, char** argv) {
  using namespace moproc::command;
  const std::string first = argc > 1 ? argv[1] : "";
  if (first == "launch") return explain_launch();
  if (first == "preflight") return preflight(argc - 1, argv + 1);
  if (first == "--verbs") {
    for (const Verb& v : verbs()) std::puts(v.name.c_str());
    return 0;
  }
  try {
    const Verb& verb = first.empty() ? verbs().front() : verb_named(first);
    const bool json = argc > 2 && std::strcmp(argv[2], "--json") == 0;
    if (argc > (json ? 3 : 2))
      throw moproc::InputError("usage: moproc-train-help [VERB [--json] | --verbs | launch | preflight [VERB] FLAGS]");
    std::fputs(json ? help_json(verb).c_str() : help_text("train", verb).c_str(), stdout);
    return 0;
  } catch (const moproc::InputError& e) {
    std::fprintf(stderr, "moproc-train-help: %s\n", e.what());
    return 2;
  }
}
