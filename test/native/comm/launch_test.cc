// Environments of launchers (recorded from torchrun 2.13, Open MPI 4.1 and the documentation of Slurm 23 and the
// Kubeflow training operator 1.7), and the launches that a process reads from them.
#include <map>

#include "comm/launch.h"
#include "core/error.h"
#include "tap.h"

using namespace moproc;
using namespace moproc::comm;

namespace {

using Variables = std::map<std::string, std::string>;

Environment of(Variables v) {
  return [v = std::move(v)](const std::string& name) -> std::optional<std::string> {
    const auto found = v.find(name);
    return found == v.end() || found->second.empty() ? std::nullopt : std::optional(found->second);
  };
}

std::string refusal(const LaunchFlags& flags, const Variables& v = {}) {
  try {
    plan_launch(flags, of(v));
    return "";
  } catch (const InputError& e) {
    return e.what();
  }
}

#define CHECK_HAS(text, part) CHECK(std::string(text).find(part) != std::string::npos)

const Variables kTorchrun = {
    {"RANK", "5"},       {"LOCAL_RANK", "1"},       {"WORLD_SIZE", "8"},      {"LOCAL_WORLD_SIZE", "4"},
    {"GROUP_RANK", "1"}, {"MASTER_ADDR", "gpu-01"}, {"MASTER_PORT", "29500"}, {"OMP_NUM_THREADS", "1"}};
const Variables kOpenMpi = {{"OMPI_COMM_WORLD_RANK", "3"},
                            {"OMPI_COMM_WORLD_SIZE", "4"},
                            {"OMPI_COMM_WORLD_LOCAL_RANK", "3"},
                            {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"},
                            {"OMPI_UNIVERSE_SIZE", "4"}};
const Variables kSlurm = {{"SLURM_JOB_ID", "4711"},
                          {"SLURM_STEP_ID", "0"},
                          {"SLURM_PROCID", "9"},
                          {"SLURM_LOCALID", "1"},
                          {"SLURM_NTASKS", "16"},
                          {"SLURM_JOB_NUM_NODES", "2"},
                          {"SLURM_JOB_NODELIST", "gpu-[07-08]"},
                          {"SLURM_NODEID", "1"}};
const Variables kKubeflow = {{"WORLD_SIZE", "2"},
                             {"RANK", "1"},
                             {"MASTER_ADDR", "mopro-master-0"},
                             {"MASTER_PORT", "23456"},
                             {"PYTHONUNBUFFERED", "0"}};

}  // namespace

TEST("no launcher and no flags: a process by itself") {
  const LaunchPlan p = plan_launch({}, of({{"HOME", "/root"}}));
  CHECK_EQ(p.launch.ranks, 1);
  CHECK_EQ(p.to_start, 0);
  CHECK_EQ(p.launch.by, "");
  // A batch script's own process has Slurm's numbers, but is no step.
  // a rank that its own supervisor has started alone must not start another one
  CHECK_EQ(plan_launch({}, of({{"MOPROC_LAUNCHED", "1"}})).launch.by, "moproc");
  CHECK_EQ(plan_launch({}, of({{"SLURM_JOB_ID", "1"}, {"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "8"}})).launch.ranks, 1);
}

TEST("torchrun") {
  const Launch l = plan_launch({}, of(kTorchrun)).launch;
  CHECK_EQ(l.by, "torchrun");
  CHECK_EQ(l.rank, 5);
  CHECK_EQ(l.ranks, 8);
  CHECK_EQ(l.local_rank, 1);
  CHECK_EQ(l.local_ranks, 4);
  CHECK_EQ(l.master.host, "gpu-01");
  CHECK_EQ(l.master.port, 29500);
  CHECK_EQ(l.read.size(), size_t{6});
  LaunchFlags flags;
  flags.dist_url = "env://";
  CHECK_EQ(plan_launch(flags, of(kTorchrun)).launch.master.port, 29500);
  flags.dist_url = "tcp://10.0.0.1:77";
  CHECK_EQ(plan_launch(flags, of(kTorchrun)).launch.master.host, "10.0.0.1");
}

TEST("Open MPI, on one machine and on two") {
  const Launch l = plan_launch({}, of(kOpenMpi)).launch;
  CHECK_EQ(l.by, "Open MPI");
  CHECK_EQ(l.rank, 3);
  CHECK_EQ(l.ranks, 4);
  CHECK_EQ(l.master.host, "localhost");
  Variables two = kOpenMpi;
  two["OMPI_COMM_WORLD_LOCAL_SIZE"] = "2";
  two["OMPI_COMM_WORLD_LOCAL_RANK"] = "1";
  CHECK_HAS(refusal({}, two), "MASTER_ADDR is not set");
  LaunchFlags flags;
  flags.dist_url = "tcp://login:10001";
  CHECK_EQ(plan_launch(flags, of(two)).launch.master.host, "login");
}

TEST("MPICH and Intel MPI, alone and as a step of Slurm") {
  const Variables hydra = {
      {"PMI_RANK", "1"}, {"PMI_SIZE", "4"}, {"MPI_LOCALRANKID", "1"}, {"MPI_LOCALNRANKS", "4"}, {"PMI_FD", "9"}};
  const Launch l = plan_launch({}, of(hydra)).launch;
  CHECK_EQ(l.by, "MPICH or Intel MPI");
  CHECK_EQ(l.rank, 1);
  CHECK_EQ(l.ranks, 4);
  CHECK_EQ(l.local_rank, 1);
  CHECK_EQ(l.local_ranks, 4);
  CHECK_EQ(l.master.host, "localhost");
  Variables two = hydra;
  two["MPI_LOCALNRANKS"] = "2";
  CHECK_HAS(refusal({}, two), "MASTER_ADDR is not set");
  // srun --mpi=pmi2 sets two of them, and Slurm's own.
  Variables step = kSlurm;
  step["PMI_RANK"] = "9";
  step["PMI_SIZE"] = "16";
  CHECK_EQ(plan_launch({}, of(step)).launch.by, "Slurm");
  step["PMI_RANK"] = "3";
  CHECK_HAS(refusal({}, step),
            "Slurm says that this is rank 9 of 16, but MPICH or Intel MPI says rank 3 of 16 (PMI_RANK");
}

TEST("two launchers: one may have started the other; otherwise they must not contradict") {
  // mpiexec starts torchrun on two machines, which starts four processes on each.
  Variables nested = kTorchrun;
  nested.merge(Variables{{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}});
  CHECK_EQ(plan_launch({}, of(nested)).launch.rank, 5);
  nested["PMI_RANK"] = "0";
  CHECK_HAS(refusal({}, nested), "torchrun says that this is rank 5 of 8, but MPICH or Intel MPI says rank 0 of 2");
  // A leftover of a container: every process of mpirun would be rank 0 of 1.
  Variables leftover = kOpenMpi;
  leftover.merge(Variables{{"RANK", "0"}, {"WORLD_SIZE", "1"}, {"LOCAL_RANK", "0"}});
  CHECK_HAS(refusal({}, leftover), "torchrun says that this is rank 0 of 1, but Open MPI says rank 3 of 4");
  // A script that copies MPI's variables to torchrun's names.
  Variables copied = kOpenMpi;
  copied.merge(
      Variables{{"RANK", "3"}, {"WORLD_SIZE", "4"}, {"LOCAL_RANK", "3"}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", "1"}});
  CHECK_EQ(plan_launch({}, of(copied)).launch.by, "torchrun");
  // The job has 16 tasks, the step that is running has two.
  Variables step = kSlurm;
  step.merge(Variables{{"SLURM_STEP_NUM_TASKS", "2"}, {"SLURM_STEP_NUM_NODES", "1"}});
  step["SLURM_PROCID"] = "1";
  CHECK_EQ(plan_launch({}, of(step)).launch.ranks, 2);
  CHECK_EQ(plan_launch({}, of(step)).launch.local_ranks, 2);
}

TEST("a launcher that nobody understands is named") {
  for (const char* name : {"PMIX_RANK", "PMI_RANK", "MV2_COMM_WORLD_RANK", "PALS_RANKID", "FLUX_TASK_RANK"})
    CHECK_HAS(refusal({}, {{name, "3"}}), std::string(name) + "=3 is set, so a launcher that moproc cannot read");
  CHECK_EQ(plan_launch({}, of({{"FLUX_TASK_RANK", "0"}, {"FLUX_JOB_SIZE", "1"}})).launch.ranks, 1);
  LaunchFlags flags;
  flags.per_node = 2;
  CHECK_EQ(plan_launch(flags, of({{"PALS_RANKID", "0"}})).to_start, 2);
}

TEST("IPv6 addresses have brackets in a URL") {
  LaunchFlags flags;
  flags.world_size = 2;
  flags.rank = 1;
  flags.dist_url = "tcp://[fe80::1%eth0]:7000";
  const StoreAddress at = plan_launch(flags, of({})).launch.master;
  CHECK_EQ(at.host, "fe80::1%eth0");
  CHECK_EQ(show(at), "tcp://[fe80::1%eth0]:7000");
  flags.dist_url = "tcp://::1:7000";
  CHECK_HAS(refusal(flags), "an IPv6 address needs brackets");
  Variables v = kKubeflow;
  v["MASTER_ADDR"] = "2001:db8::7";
  CHECK_EQ(plan_launch({}, of(v)).launch.master.host, "2001:db8::7");
  v["MASTER_ADDR"] = "[2001:db8::7]";
  CHECK_EQ(plan_launch({}, of(v)).launch.master.host, "2001:db8::7");
}

TEST("Slurm: the first machine has rank 0, the job's number makes the port") {
  const Launch l = plan_launch({}, of(kSlurm)).launch;
  CHECK_EQ(l.by, "Slurm");
  CHECK_EQ(l.rank, 9);
  CHECK_EQ(l.ranks, 16);
  CHECK_EQ(l.local_rank, 1);
  CHECK_EQ(l.local_ranks, 8);
  CHECK_EQ(l.master.host, "gpu-07");
  CHECK_EQ(l.master.port, 10001 + 4711);
}

TEST(
    "Slurm: a step on a part of the job, machines with unlike numbers of processes; torchrun that has the port "
    "itself") {
  Variables v = kSlurm;
  v["SLURM_STEP_NODELIST"] = "gpu-08";
  v["SLURM_STEP_TASKS_PER_NODE"] = "8(x2),4";
  v["SLURM_NODEID"] = "2";
  v["SLURM_LOCALID"] = "3";
  const Launch l = plan_launch({}, of(v)).launch;
  CHECK_EQ(l.local_ranks, 4);
  CHECK_EQ(l.master.host, "gpu-08");
  v["SLURM_NODEID"] = "1";
  CHECK_EQ(plan_launch({}, of(v)).launch.local_ranks, 8);
  v["SLURM_NODEID"] = "3";
  CHECK_HAS(refusal({}, v), "has no entry for machine 3");
  v = kTorchrun;
  v["TORCHELASTIC_USE_AGENT_STORE"] = "True";
  CHECK_EQ(plan_launch({}, of(v)).launch.master.port, 29501);
  v["TORCHELASTIC_USE_AGENT_STORE"] = "False";
  CHECK_EQ(plan_launch({}, of(v)).launch.master.port, 29500);
}

TEST("--multiprocessing-distributed: a process for each GPU, where nothing else says how many") {
  LaunchFlags flags;
  flags.gpus = 4;
  CHECK_EQ(plan_launch(flags, of({})).to_start, 4);
  flags.per_node = 2;
  CHECK_EQ(plan_launch(flags, of({})).to_start, 2);
  flags.per_node = 0;
  CHECK_EQ(plan_launch(flags, of(kTorchrun)).to_start, 0);
}

TEST("the first host of Slurm's lists") {
  CHECK_EQ(first_host("node1"), "node1");
  CHECK_EQ(first_host("node1,node2"), "node1");
  CHECK_EQ(first_host("gpu-[07-09,12],login1"), "gpu-07");
  CHECK_EQ(first_host("gpu[3,5]"), "gpu3");
  CHECK_EQ(first_host("rack[2-4]-gpu,x"), "rack2-gpu");
  for (const char* bad : {"", "gpu[", "gpu[]"}) {
    bool threw = false;
    try {
      first_host(bad);
    } catch (const InputError&) {
      threw = true;
    }
    CHECK(threw);
  }
}

TEST("Kubeflow counts nodes: --nproc-per-node starts the node's ranks") {
  LaunchFlags flags;
  flags.per_node = 4;
  const LaunchPlan p = plan_launch(flags, of(kKubeflow));
  CHECK_EQ(p.launch.by, "Kubeflow");
  CHECK_EQ(p.to_start, 4);
  CHECK_EQ(p.launch.ranks, 8);
  CHECK_EQ(p.launch.rank, 4);
  CHECK_EQ(p.launch.master.host, "mopro-master-0");
  CHECK_EQ(p.launch.master.port, 23456);
}

TEST("the published flags: nodes, this node, and where node 0 is") {
  LaunchFlags flags;
  flags.world_size = 2;
  flags.rank = 1;
  flags.dist_url = "tcp://localhost:10001";
  flags.per_node = 8;
  const LaunchPlan p = plan_launch(flags, of({}));
  CHECK_EQ(p.to_start, 8);
  CHECK_EQ(p.launch.rank, 8);
  CHECK_EQ(p.launch.ranks, 16);
  CHECK_EQ(p.launch.master.port, 10001);
  flags.dist_url = "tcp://[::1]:7";
  CHECK_EQ(plan_launch(flags, of({})).launch.master.host, "::1");
}

TEST("what a process hands to the ranks it starts, they read") {
  LaunchFlags flags;
  flags.per_node = 3;
  flags.by_node = true;
  LaunchPlan p = plan_launch(flags, of({}));
  p.launch.rank = p.launch.local_rank = 2;
  p.launch.master.port = 4000;
  Variables v;
  for (const std::string& text : variables_of(p.launch))
    v[text.substr(0, text.find('='))] = text.substr(text.find('=') + 1);
  const LaunchPlan child = plan_launch(flags, of(v));
  CHECK_EQ(child.to_start, 0);
  CHECK_EQ(child.launch.rank, 2);
  CHECK_EQ(child.launch.ranks, 3);
  CHECK_EQ(child.launch.local_rank, 2);
  CHECK_EQ(child.launch.master.port, 4000);
  CHECK(child.launch.by_node);
  v.erase("MOPROC_LAUNCHED");
  CHECK(!plan_launch({}, of(v)).launch.by_node);  // a variable that another launcher inherited
}

TEST("half an environment, numbers out of range, contradictions: each says what is wrong") {
  Variables v = kTorchrun;
  v["RANK"] = "8";
  CHECK_HAS(refusal({}, v), "rank 8 of 8: ranks are counted from 0 to 7");
  v = kTorchrun;
  v["WORLD_SIZE"] = "eight";
  CHECK_HAS(refusal({}, v), "WORLD_SIZE=eight: expected a whole number");
  v = kTorchrun;
  v["MASTER_PORT"] = "";
  CHECK_HAS(refusal({}, v), "MASTER_PORT is not set");
  v = kTorchrun;
  v["LOCAL_RANK"] = "4";
  CHECK_HAS(refusal({}, v), "local rank 4 of 4");
  LaunchFlags flags;
  flags.per_node = 2;
  CHECK_HAS(refusal(flags, kTorchrun), "torchrun has started the processes already");
  for (const Variables& half :
       {Variables{{"RANK", "1"}, {"WORLD_SIZE", "2"}}, Variables{{"WORLD_SIZE", "2"}, {"LOCAL_RANK", "1"}}})
    CHECK_HAS(refusal({}, half), "incomplete environment: ");
  CHECK_HAS(refusal({}, {{"WORLD_SIZE", "2"}, {"LOCAL_RANK", "1"}}),
            "WORLD_SIZE, LOCAL_RANK set, RANK, MASTER_ADDR not");
  CHECK_EQ(plan_launch({}, of({{"RANK", "0"}})).launch.ranks, 1);
  flags = {};
  flags.dist_url = "env://";
  CHECK_HAS(refusal(flags), "RANK and WORLD_SIZE are not set");
  flags = {};
  flags.world_size = 2;
  CHECK_HAS(refusal(flags), "needs --rank");
  flags.rank = 2;
  CHECK_HAS(refusal(flags), "nodes are counted from 0 to 1");
  flags.rank = 0;
  CHECK_HAS(refusal(flags), "needs --dist-url");
  for (const char* url : {"localhost:1", "tcp://:1", "tcp://host", "tcp://host:x", "tcp://host:70000"}) {
    flags.dist_url = url;
    CHECK_HAS(refusal(flags), "expected tcp://HOST:PORT or env://");
  }
}
