// One function per launcher; the first launcher whose variables are set applies.
#include "comm/launch.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>

#include "comm/other_launchers.h"
#include "core/error.h"

namespace moproc::comm {
namespace {

constexpr int kDefaultPort = 10001;  // the port of the published scripts
constexpr const char* kOurs = "MOPROC_LAUNCHED";
constexpr const char* kByNode = "MOPROC_BY_NODE";

/// The environment, and a record of how each variable was understood.
class Reader {
 public:
  explicit Reader(const Environment& environment) : environment_(environment) {}

  bool has(const char* name) const { return environment_(name).has_value(); }
  std::string text(const char* name, const char* meaning) {
    const std::optional<std::string> value = environment_(name);
    if (!value) throw InputError(std::string(name) + " is not set; it says " + meaning);
    lines.push_back(std::string(name) + "=" + *value + ": " + meaning);
    return *value;
  }
  int number(const char* name, const char* meaning, int least) {
    const std::string value = text(name, meaning);
    int n = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), n);
    if (error != std::errc() || end != value.data() + value.size() || n < least)
      throw InputError(std::string(name) + "=" + value + ": expected a whole number from " + std::to_string(least) +
                       " on");
    return n;
  }
  void say(std::string line) { lines.push_back(std::move(line)); }

  std::vector<std::string> lines;

 private:
  const Environment& environment_;
};

/// An address without the brackets in which a URL has one of IPv6.
std::string without_brackets(const std::string& host) {
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  return bracketed ? host.substr(1, host.size() - 2) : host;
}

StoreAddress parse_url(const std::string& url) {
  constexpr std::string_view scheme = "tcp://";
  const size_t colon = url.rfind(':');
  const std::string port = colon == std::string::npos ? "" : url.substr(colon + 1);
  int n = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), n);
  if (!url.starts_with(scheme) || colon <= scheme.size() || port.empty() || error != std::errc() ||
      end != port.data() + port.size() || n < 0 || n > 65535)
    throw InputError("--dist-url " + url + ": expected tcp://HOST:PORT or env://");
  const std::string host = url.substr(scheme.size(), colon - scheme.size());
  if (host.find(':') != std::string::npos && host.front() != '[')
    throw InputError("--dist-url " + url + ": an IPv6 address needs brackets, as in tcp://[::1]:10001");
  return {without_brackets(host), n};
}

/// Rank 0's address: MASTER_ADDR and MASTER_PORT, or --dist-url if it is given. Ranks of our own launcher use the port
/// that the launcher chose.
StoreAddress master_of(Reader& r, const LaunchFlags& flags) {
  if (!r.has(kOurs) && !flags.dist_url.empty() && flags.dist_url != "env://") {
    r.say("--dist-url " + flags.dist_url + ": where rank 0 is");
    return parse_url(flags.dist_url);
  }
  return {without_brackets(r.text("MASTER_ADDR", "the machine of rank 0")),
          r.number("MASTER_PORT", "the port that rank 0 listens on", 1)};
}

Launch torchrun(Reader& r, const LaunchFlags& flags) {
  Launch l;
  l.by = r.has(kOurs) ? "moproc" : "torchrun";
  l.rank = r.number("RANK", "this process, of all", 0);
  l.ranks = r.number("WORLD_SIZE", "processes in all", 1);
  l.local_rank = r.number("LOCAL_RANK", "this process, of those on this machine", 0);
  l.local_ranks = r.has("LOCAL_WORLD_SIZE") ? r.number("LOCAL_WORLD_SIZE", "processes on this machine", 1) : l.ranks;
  if (l.ranks == 1) return l;
  l.by_node = r.has(kOurs) && r.has(kByNode);
  l.master = master_of(r, flags);
  const bool told = !r.has(kOurs) && !flags.dist_url.empty() && flags.dist_url != "env://";
  if (!told && r.has("TORCHELASTIC_USE_AGENT_STORE") &&
      r.text("TORCHELASTIC_USE_AGENT_STORE", "whether torchrun itself listens on that port") == "True") {
    ++l.master.port;
    r.say("torchrun has that port: rank 0 listens on " + std::to_string(l.master.port));
  }
  return l;
}

/// The names of the variables of a launcher of MPI.
struct MpiNames {
  const char *by, *rank, *ranks, *local_rank, *local_ranks;
};
constexpr MpiNames kOpenMpi{"Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
                            "OMPI_COMM_WORLD_LOCAL_SIZE"};
/// MPICH's and Intel MPI's mpiexec (Hydra).
constexpr MpiNames kHydra{"MPICH or Intel MPI", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "MPI_LOCALNRANKS"};

Launch mpi(Reader& r, const LaunchFlags& flags, const MpiNames& names) {
  Launch l;
  l.by = names.by;
  l.rank = r.number(names.rank, "this process, of all", 0);
  l.ranks = r.number(names.ranks, "processes in all", 1);
  l.local_rank = r.number(names.local_rank, "this process, of those on this machine", 0);
  l.local_ranks = r.number(names.local_ranks, "processes on this machine", 1);
  if (l.ranks == 1) return l;
  const bool said = !flags.dist_url.empty() || r.has("MASTER_ADDR");
  if (!said && l.local_ranks == l.ranks) {
    r.say("all processes are on this machine: rank 0 is at localhost");
    l.master = {"localhost", kDefaultPort};
  } else {
    l.master = master_of(r, flags);
  }
  return l;
}

/// The number of tasks on machine `node` in a list like "8(x2),4".
int tasks_on(const std::string& list, int node) {
  int at = 0;
  for (size_t begin = 0; begin < list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    int tasks = 0, times = 1;
    if (std::sscanf(list.substr(begin, end - begin).c_str(), "%d(x%d)", &tasks, &times) < 1) break;
    at += times;
    if (node < at) return tasks;
    begin = end + 1;
  }
  throw InputError("SLURM_STEP_TASKS_PER_NODE=" + list + ": has no entry for machine " + std::to_string(node) +
                   " (SLURM_NODEID)");
}

Launch slurm(Reader& r, const LaunchFlags& flags) {
  Launch l;
  l.by = "Slurm";
  l.rank = r.number("SLURM_PROCID", "this process, of all of the step", 0);
  // A step may have fewer processes than its job, and SLURM_NTASKS may be the job's.
  l.ranks = r.has("SLURM_STEP_NUM_TASKS") ? r.number("SLURM_STEP_NUM_TASKS", "processes of the step", 1)
                                          : r.number("SLURM_NTASKS", "processes in all", 1);
  l.local_rank = r.number("SLURM_LOCALID", "this process, of those on this machine", 0);
  if (r.has("SLURM_STEP_TASKS_PER_NODE") && r.has("SLURM_NODEID")) {
    l.local_ranks = tasks_on(r.text("SLURM_STEP_TASKS_PER_NODE", "processes on each machine of the step"),
                             r.number("SLURM_NODEID", "this machine, of the step's", 0));
  } else {
    const char* const machines = r.has("SLURM_STEP_NUM_NODES") ? "SLURM_STEP_NUM_NODES" : "SLURM_JOB_NUM_NODES";
    const int nodes = r.has(machines) ? r.number(machines, "machines, with as many processes each", 1) : 1;
    l.local_ranks = (l.ranks + nodes - 1) / nodes;
  }
  if (l.ranks == 1) return l;
  if (!flags.dist_url.empty() || r.has("MASTER_ADDR")) {
    l.master = master_of(r, flags);
    return l;
  }
  l.master.host = first_host(r.text(r.has("SLURM_STEP_NODELIST") ? "SLURM_STEP_NODELIST" : "SLURM_JOB_NODELIST",
                                    "the machines, of which the first has rank 0"));
  constexpr int kPorts = 20000;  // chosen by the job's number, so that two jobs on a machine use different ports
  l.master.port = r.has("MASTER_PORT") ? r.number("MASTER_PORT", "the port that rank 0 listens on", 1)
                  : r.has("SLURM_JOB_ID")
                      ? kDefaultPort + r.number("SLURM_JOB_ID", "the job, which the port follows from", 0) % kPorts
                      : kDefaultPort;
  r.say("rank 0 is at " + l.master.host + ", port " + std::to_string(l.master.port));
  return l;
}

/// RANK and WORLD_SIZE count nodes if there is no LOCAL_RANK.
void kubeflow(Reader& r, LaunchFlags& flags) {
  flags.world_size = r.number("WORLD_SIZE", "nodes (there is no LOCAL_RANK)", 1);
  flags.rank = r.number("RANK", "this node", 0);
  if (flags.dist_url.empty() || flags.dist_url == "env://") {
    const StoreAddress master = master_of(r, flags);
    flags.dist_url = show(master);
  }
}

/// Throws InputError if variables say that there are other ranks, but not where they are.
void refuse_half(const Reader& r) {
  constexpr const char* kNames[] = {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR"};
  std::string set, missing;
  int count = 0;
  for (const char* name : kNames) {
    std::string& list = r.has(name) ? set : missing;
    list += (list.empty() ? "" : ", ") + std::string(name);
    count += r.has(name);
  }
  if (count > 1)
    throw InputError("incomplete environment: " + set + " set, " + missing +
                     " not set. A launcher sets RANK, WORLD_SIZE, LOCAL_RANK and MASTER_ADDR, or RANK and WORLD_SIZE "
                     "of nodes with MASTER_ADDR; unset them for one process");
}

void check(const Launch& l) {
  if (l.rank >= l.ranks)
    throw InputError("rank " + std::to_string(l.rank) + " of " + std::to_string(l.ranks) +
                     ": ranks are counted from 0 to " + std::to_string(l.ranks - 1));
  if (l.local_ranks > l.ranks)
    throw InputError("there are " + std::to_string(l.local_ranks) + " ranks on this machine, but " +
                     std::to_string(l.ranks) + " in all; the launcher's variables contradict each other");
  if (l.local_rank >= l.local_ranks)
    throw InputError("local rank " + std::to_string(l.local_rank) + " of " + std::to_string(l.local_ranks) +
                     " processes on this machine: they are counted from 0");
}

/// The plan for the processes that the flags ask this one to start.
LaunchPlan from_flags(Reader& r, const LaunchFlags& flags) {
  LaunchPlan plan;
  Launch& l = plan.launch;
  const int nodes = flags.world_size < 1 ? 1 : flags.world_size;
  const int per_node = std::max(1, flags.per_node > 0 ? flags.per_node : flags.gpus);
  const int node = flags.rank < 0 ? 0 : flags.rank;
  if (flags.world_size == 0) throw InputError("--world-size 0: expected nodes, at least 1");
  if (nodes > 1 && flags.rank < 0)
    throw InputError("--world-size " + std::to_string(nodes) + " needs --rank, the number of this node");
  if (node >= nodes)
    throw InputError("--rank " + std::to_string(node) + ": nodes are counted from 0 to " + std::to_string(nodes - 1) +
                     " (--world-size " + std::to_string(nodes) + ")");
  l.ranks = nodes * per_node;
  l.local_ranks = per_node;
  l.rank = node * per_node;
  if (l.ranks == 1) {
    if (r.has(kOurs)) l.by = "moproc";  // a supervisor has started this process, which must not start one itself
    return plan;
  }
  if (nodes > 1 && flags.dist_url.empty())
    throw InputError("--world-size " + std::to_string(nodes) + " needs --dist-url tcp://HOST:PORT, where node 0 is");
  l.by = l.by.empty() ? "moproc" : l.by;
  l.master = flags.dist_url.empty()       ? StoreAddress{"localhost", 0}
             : flags.dist_url == "env://" ? master_of(r, flags)
                                          : parse_url(flags.dist_url);
  if (nodes > 1 && l.master.port == 0) throw InputError("--dist-url " + flags.dist_url + ": several nodes need a port");
  plan.to_start = per_node;
  l.by_node = flags.by_node && per_node > 1;
  return plan;
}

}  // namespace

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* const value = std::getenv(name.c_str());
    return value && *value ? std::optional<std::string>(value) : std::nullopt;
  };
}

LaunchPlan plan_launch(const LaunchFlags& flags, const Environment& environment) {
  Reader r(environment);
  LaunchPlan plan;
  LaunchFlags said = flags;
  const bool ranks = r.has("RANK") && r.has("WORLD_SIZE");
  const bool by_flags = flags.per_node > 0 && !r.has(kOurs);
  if (ranks && r.has("LOCAL_RANK")) plan.launch = torchrun(r, flags);
  else if (r.has(kOpenMpi.rank) && !by_flags) plan.launch = mpi(r, flags, kOpenMpi);
  else if (r.has(kHydra.rank) && r.has(kHydra.local_rank) && !by_flags) plan.launch = mpi(r, flags, kHydra);
  else if (r.has("SLURM_STEP_ID") && r.has("SLURM_PROCID") && !by_flags) plan.launch = slurm(r, flags);
  else {
    const bool nodes = ranks && r.has("MASTER_ADDR") && flags.world_size < 0;
    if (!nodes && flags.world_size < 0 && flags.per_node == 0 && !r.has(kOurs)) {
      refuse_half(r);
      refuse_unknown(environment);
    }
    if (nodes) kubeflow(r, said);
    else if (flags.dist_url == "env://" && !ranks)
      throw InputError(
          "--dist-url env://: RANK and WORLD_SIZE are not set; a launcher sets them (torchrun), or say --dist-url "
          "tcp://HOST:PORT");
    plan = from_flags(r, said);
    if (nodes) plan.launch.by = "Kubeflow";
  }
  if (plan.to_start == 0 && flags.per_node > 1 && plan.launch.by != "moproc")
    throw InputError(
        "--nproc-per-node " + std::to_string(flags.per_node) + ": " +
        (plan.launch.by.empty() ? "nothing to start" : plan.launch.by + " has started the processes already"));
  check(plan.launch);
  if (plan.to_start == 0 && plan.launch.by != "moproc" && !plan.launch.by.empty())
    refuse_contradiction(environment, plan.launch);
  plan.launch.read = std::move(r.lines);
  return plan;
}

std::vector<std::string> variables_of(const Launch& l) {
  const auto variable = [](const char* name, int value) { return std::string(name) + "=" + std::to_string(value); };
  std::vector<std::string> all = {variable("RANK", l.rank),
                                  variable("WORLD_SIZE", l.ranks),
                                  variable("LOCAL_RANK", l.local_rank),
                                  variable("LOCAL_WORLD_SIZE", l.local_ranks),
                                  "MASTER_ADDR=" + l.master.host,
                                  variable("MASTER_PORT", l.master.port),
                                  variable(kOurs, 1)};
  if (l.by_node) all.push_back(variable(kByNode, 1));
  return all;
}

std::string first_host(const std::string& list) {
  const size_t end = list.find_first_of(",[");
  const std::string stem = list.substr(0, end);
  if (stem.empty() && end != 0) throw InputError("SLURM_JOB_NODELIST is empty");
  if (end == std::string::npos || list[end] == ',') return stem;
  const size_t stop = list.find_first_of(",-]", end + 1), close = list.find(']', end);
  if (stop == std::string::npos || close == std::string::npos || stop == end + 1)
    throw InputError("SLURM_JOB_NODELIST=" + list + ": not a list of machines");
  const size_t behind = list.find(',', close);
  return stem + list.substr(end + 1, stop - end - 1) +
         list.substr(close + 1, behind == std::string::npos ? behind : behind - close - 1);
}

}  // namespace moproc::comm
