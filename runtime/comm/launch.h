// Which rank this process is, read from the environment that a launcher made: ours, torchrun's, Open MPI's, Slurm's or
// Kubeflow's. Nothing is guessed: half an environment is an error that says what is missing.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "comm/store.h"

namespace moproc::comm {

/// What the flags of a command line say, under their published names.
struct LaunchFlags {
  int world_size = -1;   // nodes; -1: not said
  int rank = -1;         // of this node; -1: not said
  std::string dist_url;  // tcp://HOST:PORT, env:// or empty
  int per_node = 0;      // processes on this node; 0: not said
  int gpus = 0;  // a process for each of so many GPUs, where per_node is not said (--multiprocessing-distributed)
};

/// A process's place in a run.
struct Launch {
  std::string by;  // "torchrun", "Slurm", ...; "" for a process by itself
  int rank = 0, ranks = 1;
  int local_rank = 0, local_ranks = 1;
  StoreAddress master;            // where rank 0 is; host is empty when there is but one rank
  std::vector<std::string> read;  // what was read and what it means, a line each
};

/// What this process has to do for the flags: be the rank that the environment names, or start processes on this node.
struct LaunchPlan {
  Launch launch;     // of this process, or of the first one to start
  int to_start = 0;  // processes that this one has to start; 0: it is a rank itself
};

/// The value of a variable; nothing when it is not set or empty.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
Environment process_environment();

/// Throws InputError naming variable or flag: not a number, out of range, contradicting, missing.
LaunchPlan plan_launch(const LaunchFlags& flags, const Environment& environment);

/// The variables that make a process the given rank of a launch, NAME=VALUE: those of torchrun, and ours.
std::vector<std::string> variables_of(const Launch& launch);

/// The first host of a Slurm list: "gpu-07" of "gpu-[07-09,12],login1". Throws InputError.
std::string first_host(const std::string& list);

}  // namespace moproc::comm
