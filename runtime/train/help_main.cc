// moproc-train-help [VERB]: prints the flags of every training binary, so that they can be listed before one is
// compiled. moproc-train-help launch: what the environment says about ranks, a line a variable. moproc-train-help targets
// [VERB] FLAGS: refuses, with exit code 2, a command that would replace what moproc did not make.
#include <cstdio>
#include <cstring>

#include "comm/launch.h"
#include "core/error.h"
#include "train/flags.h"
#include "train/targets.h"

namespace {

int explain_launch() {
  using namespace moproc::comm;
  try {
    const Launch l = plan_launch({}, process_environment()).launch;
    if (l.by.empty()) return std::puts("one process: no launcher has set RANK, OMPI_COMM_WORLD_RANK or SLURM_PROCID"), 0;
    std::printf("%s: rank %d of %d, %d of %d on this machine", l.by.c_str(), l.rank, l.ranks, l.local_rank, l.local_ranks);
    if (!l.master.host.empty()) std::printf("; rank 0 is at %s, port %d", l.master.host.c_str(), l.master.port);
    std::puts("");
    for (const std::string& line : l.read) std::puts(line.c_str());
    return 0;
  } catch (const moproc::InputError& e) {
    std::printf("%s\n", e.what());
    return 2;
  }
}

int look_at_targets(int argc, char** argv) {
  try {
    bool help = false;
    const moproc::train::Options options = moproc::train::parse_flags(argc, argv, help);
    if (!help) moproc::train::require_targets(options);
    return 0;
  } catch (const moproc::InputError& e) {
    std::fprintf(stderr, "train: %s\n", e.what());
    return 2;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "launch") == 0) return explain_launch();
  if (argc > 1 && std::strcmp(argv[1], "targets") == 0) return look_at_targets(argc - 1, argv + 1);
  const moproc::train::Verb verb = moproc::train::verb_of(argc > 1 ? argv[1] : "");
  std::fputs(moproc::train::help_text("train", verb).c_str(), stdout);
  return 0;
}
