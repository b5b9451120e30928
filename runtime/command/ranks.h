// Runs a verb as several processes, the ranks, which share each batch.
#pragma once

#include <functional>
#include <string>

#include "comm/launch.h"
#include "comm/world.h"
#include "command/verb.h"

namespace moproc::command {

struct RankSettings {
  comm::LaunchFlags launch;
  std::string backend;           // --dist-backend, "" if it is not given
  bool process_per_gpu = false;  // --multiprocessing-distributed
  double timeout = 600;          // seconds that a rank waits for another
  int max_restarts = 0;          // how often a run continues after a rank was lost
};

/// --nproc-per-node, --world-size, ..., and --deterministic.
void add_rank_flags(FlagTable& table, RankSettings& ranks, train::Compute& compute);

/// Throws InputError if the flags and the environment contradict each other, as far as that shows without an artefact.
void check_launch(const RankSettings& settings);

/// The function that a rank runs. `world` is null if there is one rank. `restarted`: the run continues from the newest
/// checkpoint after a rank was lost. Returns the exit status.
using RankRun = std::function<int(comm::World* world, bool restarted)>;

/// Starts the ranks of this node and waits for them or, if this process is one of them, calls `run`. `exp_dir`: the
/// folder in which a restarted run finds its checkpoints. `restarts`: whether the run can be restarted at all. Returns
/// the exit status. Throws InputError if the flags and the environment contradict each other, and what `run` throws.
int run_as_ranks(Invocation& invocation, const RankSettings& settings, const std::string& exp_dir, bool restarts,
                 const RankRun& run);

/// The note for --multiprocessing-distributed if the run is one process on the CPU; "" otherwise.
std::string note_of_one_process(const RankSettings& settings, const comm::World* world, const Plan& plan);

/// Throws InputError if a launcher has started this process as one of several ranks.
void require_one_process(const Plan& plan);

}  // namespace moproc::command
