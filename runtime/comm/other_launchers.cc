#include "comm/other_launchers.h"

#include <cstdlib>
#include <optional>
#include <string>

#include "core/error.h"

namespace moproc::comm {
namespace {

/// The processes that a launcher's variables state, although it may not be the launcher that is believed.
struct Stated {
  const char* by;
  const char *rank, *ranks;  // variables
  int rank_value, ranks_value;
};

std::optional<Stated> stated(const Environment& environment, const char* by, const char* rank, const char* ranks) {
  const auto value = [&](const char* name) {
    const std::optional<std::string> text = environment(name);
    return text ? std::atoi(text->c_str()) : -1;
  };
  const Stated s{by, rank, ranks, value(rank), value(ranks)};
  return s.rank_value >= 0 && s.ranks_value > 0 ? std::optional(s) : std::nullopt;
}

}  // namespace

void refuse_contradiction(const Environment& environment, const Launch& l) {
  const bool step = environment("SLURM_STEP_ID").has_value();
  const bool step_size = environment("SLURM_STEP_NUM_TASKS").has_value();
  const std::optional<Stated> others[] = {
      stated(environment, "torchrun", "RANK", "WORLD_SIZE"),
      stated(environment, "Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
      stated(environment, "MPICH or Intel MPI", "PMI_RANK", "PMI_SIZE"),
      step ? stated(environment, "Slurm", "SLURM_PROCID", step_size ? "SLURM_STEP_NUM_TASKS" : "SLURM_NTASKS")
           : std::nullopt};
  for (const auto& o : others) {
    if (!o || o->by == l.by || o->ranks_value == 1) continue;
    const bool same = o->ranks_value == l.ranks && o->rank_value == l.rank;
    const bool started = l.ranks == o->ranks_value * l.local_ranks && l.rank / l.local_ranks == o->rank_value;
    if (same || started) continue;
    throw InputError(l.by + " says that this is rank " + std::to_string(l.rank) + " of " + std::to_string(l.ranks) +
                     ", but " + o->by + " says rank " + std::to_string(o->rank_value) + " of " +
                     std::to_string(o->ranks_value) + " (" + o->rank + ", " + o->ranks +
                     "); unset the variables of the launcher that did not start this run");
  }
}

void refuse_unknown(const Environment& environment) {
  struct Unknown {
    const char *rank, *ranks;  // "" if it has no variable for their number
  };
  constexpr Unknown kUnknown[] = {{"PMIX_RANK", ""},
                                  {"PMI_RANK", "PMI_SIZE"},
                                  {"MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE"},
                                  {"PALS_RANKID", ""},
                                  {"ALPS_APP_PE", ""},
                                  {"JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE"},
                                  {"FLUX_TASK_RANK", "FLUX_JOB_SIZE"}};
  for (const Unknown& u : kUnknown) {
    const auto rank = environment(u.rank);
    if (!rank || (u.ranks[0] && environment(u.ranks) == "1")) continue;
    throw InputError(std::string(u.rank) + "=" + *rank +
                     " is set, so a launcher that moproc cannot read has started this process. Let it set RANK, "
                     "WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT; for one process, unset " +
                     u.rank);
  }
}

}  // namespace moproc::comm
