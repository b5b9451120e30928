// From the command line to a Trainer, and from exceptions to exit statuses.
#include "train/main.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include "comm/world.h"
#include "core/error.h"
#include "cuda/driver.h"
#include "data/dataset.h"
#include "train/clean.h"
#include "train/flags.h"
#include "train/lowshot.h"
#include "train/replay.h"
#include "train/supervisor.h"
#include "train/targets.h"
#include "train/trainer.h"

namespace {

int rank = 0, ranks = 1;

int fail(int status, const char* what) {
  std::fflush(stdout);
  if (ranks > 1) std::fprintf(stderr, "train: rank %d: %s\n", rank, what);
  else std::fprintf(stderr, "train: %s\n", what);
  return status;
}

/// What carries the data of a step between these ranks. Throws InputError where --dist-backend asks for what cannot be.
moproc::comm::Carrier carrier_of(const moproc::Plan& plan, const moproc::train::Options& options, const moproc::comm::Launch& launch) {
  using moproc::comm::Carrier;
  const std::string& asked = options.backend;
  const bool one_machine = launch.local_ranks == launch.ranks;
  if (std::string_view(plan.device) == "cuda") {
    if (asked == "shm" || asked == "mpi") throw moproc::InputError("--dist-backend " + asked + ": GPUs share a step by nccl");
    return Carrier::nccl;
  }
  if (asked == "mpi") return Carrier::mpi;
  return one_machine || asked == "shm" ? Carrier::shm : Carrier::mpi;
}

/// What the command line says of the ranks, with the GPUs of this node where each is to have one.
moproc::comm::LaunchFlags launch_flags(const moproc::Plan& plan, const moproc::train::Options& options) {
  moproc::comm::LaunchFlags flags = options.launch;
  if (options.process_a_gpu && flags.per_node == 0 && std::string_view(plan.device) == "cuda") flags.gpus = moproc::cuda::Driver(plan).devices();
  return flags;
}

/// One rank of several, or all of a run.
int train(const moproc::Plan& plan, moproc::train::Options options, const moproc::comm::Launch& launch) {
  using namespace moproc;
  if (train::is_restarted() && !options.exp_dir.empty()) options.resume = "auto";
  const auto run = [&](comm::World* world) {
    if (options.replay.empty()) return train::Trainer(plan, std::move(options), world).run();
    train::run_replay(plan, options, world);
    return 0;
  };
  if (launch.ranks == 1) return run(nullptr);
  rank = launch.rank;
  ranks = launch.ranks;
  comm::World world(launch, options.timeout, carrier_of(plan, options, launch));
  try {
    return run(&world);
  } catch (const std::exception& e) {
    world.give_up(e.what());
    throw;
  }
}

}  // namespace

int moproc_train_main(int argc, char** argv, const moproc::Plan& plan) {
  std::signal(SIGXFSZ,
              SIG_IGN);  // a file that grows too large is an error of write(), not the end of the process
  try {
    bool help = false;
    const moproc::train::Options options = moproc::train::parse_flags(argc, argv, help);
    if (help) {
      std::fputs(moproc::train::help_text(argv[0], options.verb).c_str(), stdout);
      return 0;
    }
    const moproc::comm::LaunchPlan launch = moproc::comm::plan_launch(launch_flags(plan, options), moproc::comm::process_environment());
    const bool alone = options.verb == moproc::train::Verb::clean || options.verb == moproc::train::Verb::lowshot;
    if (alone && launch.launch.ranks > 1) throw moproc::InputError("this command runs as one process, not as " + std::to_string(launch.launch.ranks));
    if (launch.launch.rank == 0) moproc::train::require_targets(options);
    if (options.verb == moproc::train::Verb::clean) return moproc::train::run_clean(plan, options);
    if (options.verb == moproc::train::Verb::lowshot) return moproc::train::run_lowshot(plan, options);
    const bool restarts = options.max_restarts > 0 && options.replay.empty() && launch.launch.by.empty();
    if (launch.to_start > 0 || restarts) return moproc::train::supervise({launch.launch, std::max(1, launch.to_start)}, options, argv);
    return train(plan, options, launch.launch);
  } catch (const moproc::InputError& e) {
    return fail(2, e.what());
  } catch (const moproc::data::DatasetError& e) {
    return fail(2, e.what());
  } catch (const moproc::train::Diverged& e) {
    return fail(moproc::train::kDiverged, e.what());
  } catch (const moproc::comm::LostRank& e) {
    return fail(moproc::train::kLost, e.what());
  } catch (const std::bad_alloc&) {
    return fail(2, "not enough memory for this artefact; compile it with a smaller batch");
  } catch (const std::exception& e) {
    return fail(1, e.what());
  }
}
