// Determines which rank this process is from the environment variables of the launcher: moproc's own, torchrun, Open
// MPI, Slurm or Kubeflow. Nothing is guessed: if some of a launcher's variables are missing, the error names them.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "comm/store.h"

namespace moproc::comm {

/// The flags of a command line that describe a launch, under their published names.
struct LaunchFlags {
  int world_size = -1;   // number of nodes; -1: not given
  int rank = -1;         // of this node; -1: not given
  std::string dist_url;  // tcp://HOST:PORT, env:// or empty
  int per_node = 0;      // processes on this node; 0: not given
  int gpus = 0;          // one process per GPU, if per_node is not given (--multiprocessing-distributed)
  bool by_node = false;  // per_node is the number of this machine's memory nodes, and each process gets one
};

/// The place of a process in a run.
struct Launch {
  std::string by;  // the launcher: "torchrun", "Slurm", ...; "" if there is none
  int rank = 0, ranks = 1;
  int local_rank = 0, local_ranks = 1;
  bool by_node = false;           // each process of this machine has a memory node of its own
  StoreAddress master;            // where rank 0 listens; host is empty if there is only one rank
  std::vector<std::string> read;  // one line per variable that was read: its value and meaning
};

/// What this process has to do: be the rank that the environment names, or start the processes of this node.
struct LaunchPlan {
  Launch launch;     // of this process, or of the first process that it starts
  int to_start = 0;  // number of processes to start; 0: this process is a rank itself
};

/// The value of a variable; nothing if it is unset or empty.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
Environment process_environment();

/// Throws InputError, naming the variable or flag, if one is missing, not a number, out of range or contradicts
/// another.
LaunchPlan plan_launch(const LaunchFlags& flags, const Environment& environment);

/// The variables, as NAME=VALUE, that make a process the given rank: those of torchrun and moproc's own.
std::vector<std::string> variables_of(const Launch& launch);

/// The first host of a Slurm host list: "gpu-07" for "gpu-[07-09,12],login1". Throws InputError.
std::string first_host(const std::string& list);

}  // namespace moproc::comm
