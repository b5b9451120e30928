// Decides which process starts the others, and which transport carries the data of a step.
#include "command/ranks.h"

#include <algorithm>
#include <exception>
#include <string_view>

#include "core/error.h"
#include "cpu/numa.h"
#include "cuda/driver.h"
#include "train/launcher_watch.h"
#include "train/supervisor.h"

namespace moproc::command {
namespace {

bool on_gpu(const Plan& plan) { return std::string_view(plan.device) == "cuda"; }

/// The transport that carries the data of a step between these ranks. Throws InputError if --dist-backend asks for one
/// that GPUs cannot use.
comm::Carrier carrier_of(const Plan& plan, const std::string& asked, const comm::Launch& launch) {
  using comm::Carrier;
  const bool one_machine = launch.local_ranks == launch.ranks;
  if (on_gpu(plan)) {
    if (asked == "shm" || asked == "mpi") throw InputError("--dist-backend " + asked + ": GPUs use nccl");
    return Carrier::nccl;
  }
  if (asked == "mpi") return Carrier::mpi;
  return one_machine || asked == "shm" ? Carrier::shm : Carrier::mpi;
}

/// The launch plan of the flags and the environment; includes this node's number of GPUs if each gets a process.
comm::LaunchPlan launch_of(const Plan& plan, const RankSettings& settings) {
  comm::LaunchFlags flags = settings.launch;
  if (settings.process_per_gpu && flags.per_node == 0 && on_gpu(plan)) flags.gpus = cuda::Driver(plan).devices();
  return comm::plan_launch(flags, comm::process_environment());
}

/// A flag for a number of nodes. As in the published scripts, -1 counts as not given.
Flag& add_node_flag(FlagTable& t, FlagTable::Names names, const char* unit, int& field, const char* help) {
  Flag& f = t.number(std::move(names), unit, field, -1, 1 << 20, help);
  f.show = [&field] { return field < 0 ? std::string() : std::to_string(field); };
  return f;
}

}  // namespace

void add_rank_flags(FlagTable& t, RankSettings& ranks, train::Compute& compute) {
  t.section("several ranks (processes that share each batch)");
  Flag& per_node =
      t.number({"--nproc-per-node"}, "N", ranks.launch.per_node, 1, 4096,
               "ranks to start on this node; auto: one per memory node (NUMA), which has its cores and memory")
          .without("1");
  per_node.range += ", or auto";
  per_node.set = [&launch = ranks.launch, number = per_node.set, range = per_node.range](
                     const std::string& name, const std::vector<std::string>& values) {
    const std::string& text = values[0];
    launch.by_node = text == "auto";
    if (launch.by_node) launch.per_node = static_cast<int>(numa_nodes().size());
    else if (text.find_first_not_of("0123456789") != std::string::npos) refuse(name, text, range);
    else number(name, values);
  };
  add_node_flag(t, {"--world-size"}, "NODES", ranks.launch.world_size, "number of nodes").without("1");
  add_node_flag(t, {"--rank"}, "N", ranks.launch.rank, "number of this node, counted from 0").without("0");
  t.text({"--dist-url"}, "URL", ranks.launch.dist_url,
         "address of rank 0, tcp://HOST:PORT; or env://: it is in MASTER_ADDR and MASTER_PORT");
  t.choice<std::string>({"--dist-backend"}, ranks.backend,
                        {{"nccl", "nccl"}, {"gloo", "gloo"}, {"mpi", "mpi"}, {"shm", "shm"}},
                        "what carries the data of a step. GPUs: nccl. CPU: shm on one machine, mpi on several; there "
                        "nccl and gloo mean that choice");
  t.on({"--multiprocessing-distributed"}, ranks.process_per_gpu,
       "start one rank per GPU of this node; on the CPU, --nproc-per-node says how many");
  t.on({"--deterministic"}, compute.deterministic,
       "GPUs: sums over ranks are made in the CPU's order, so that any number of ranks gives the same bits")
      .record("deterministic")
      .adjust();
  t.number({"--timeout"}, "SECONDS", ranks.timeout, 0.1, 1e6,
           "how long the others wait for a rank that does not answer");
  t.number({"--max-restarts"}, "N", ranks.max_restarts, 0, 1 << 20,
           "how often to continue from the newest checkpoint after a rank was lost");
}

void check_launch(const RankSettings& settings) {
  if (!settings.process_per_gpu) comm::plan_launch(settings.launch, comm::process_environment());
}

int run_as_ranks(Invocation& invocation, const RankSettings& settings, const std::string& exp_dir, bool restarts,
                 const RankRun& run) {
  const comm::LaunchPlan plan = launch_of(invocation.plan, settings);
  const comm::Launch& launch = plan.launch;
  if (launch.rank == 0) invocation.require_targets();
  if (plan.to_start > 0 || (restarts && settings.max_restarts > 0 && launch.by.empty()))
    return train::supervise({launch, std::max(1, plan.to_start)},
                            {invocation.verb, exp_dir, settings.timeout, settings.max_restarts}, invocation.argv);
  const train::LauncherWatch watch(launch, invocation.verb);
  const bool restarted = train::is_restarted();
  if (launch.ranks == 1) return run(nullptr, restarted);
  invocation.rank = launch.rank;
  invocation.ranks = launch.ranks;
  comm::World world(launch, settings.timeout, carrier_of(invocation.plan, settings.backend, launch));
  try {
    return run(&world, restarted);
  } catch (const std::exception& e) {
    world.give_up(e.what());
    throw;
  }
}

std::string note_of_one_process(const RankSettings& settings, const comm::World* world, const Plan& plan) {
  if (!settings.process_per_gpu || world || on_gpu(plan)) return "";
  return "--multiprocessing-distributed: one process; on the CPU --nproc-per-node N starts several";
}

void require_one_process(const Plan& plan) {
  const int ranks = launch_of(plan, {}).launch.ranks;
  if (ranks > 1) throw InputError("this verb runs as one process, not as " + std::to_string(ranks));
}

}  // namespace moproc::command
