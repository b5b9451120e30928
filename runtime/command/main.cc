// Finds the verb, parses and checks its flags, runs it, and turns exceptions into exit statuses.
#include "command/main.h"

#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include "comm/store.h"
#include "command/help.h"
#include "command/parse.h"
#include "command/ranks.h"
#include "command/run_verb.h"
#include "command/verbs.h"
#include "core/error.h"
#include "core/standard_output.h"
#include "data/dataset.h"
#include "train/saver.h"
#include "train/supervisor.h"
#include "workflow/programs.h"

namespace {

using namespace moproc;

/// Messages begin with the verb that was typed, even if the rest of the command line is wrong.
int run(int argc, char** argv, command::Invocation& invocation) {
  const bool trains = command::has_training_verbs(invocation.plan);
  const command::Request request = trains ? command::request_of(argc, argv) : command::run_request(argc, argv);
  const command::Verb& verb = request.verb;
  invocation.verb = verb.name;
  if (command::asks_for_help(request.flags)) {
    std::fputs(command::help_text(argv[0], verb).c_str(), stdout);
    if (!trains) std::fputs(("\nprograms\n" + train::describe_programs(invocation.plan)).c_str(), stdout);
    return 0;
  }
  const std::unique_ptr<command::Command> command = verb.make();
  command::parse_flags(command->flags, request.flags);
  if (verb.one_process) command::require_one_process(invocation.plan);
  command->check();
  command->fits(invocation.plan);
  invocation.require_targets = [&] { command->require_targets(); };
  if (verb.one_process) invocation.require_targets();
  return command->run(invocation);
}

int fail(const command::Invocation& at, int status, const char* what) {
  std::fflush(stdout);
  if (at.ranks > 1) std::fprintf(stderr, "%s: rank %d: %s\n", at.verb.c_str(), at.rank, what);
  else std::fprintf(stderr, "%s: %s\n", at.verb.c_str(), what);
  return status;
}

/// The exit status of the command.
int status_of(int argc, char** argv, command::Invocation& invocation) {
  try {
    return run(argc, argv, invocation);
  } catch (const InputError& e) {
    return fail(invocation, 2, e.what());
  } catch (const data::DatasetError& e) {
    return fail(invocation, 2, e.what());
  } catch (const train::Diverged& e) {
    return fail(invocation, train::kDiverged, e.what());
  } catch (const comm::LostRank& e) {
    return fail(invocation, train::kLost, e.what());
  } catch (const std::bad_alloc&) {
    return fail(invocation, 2, "not enough memory for this artefact; compile it with a smaller batch");
  } catch (const std::exception& e) {
    return fail(invocation, 1, e.what());
  }
}

}  // namespace

int moproc_train_main(int argc, char** argv, const moproc::Plan& plan) {
  // With these ignored, write() reports an error if a file grows too large, or if the reader of the output is gone;
  // otherwise the process would be killed.
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  command::Invocation invocation{plan, argv, command::has_training_verbs(plan) ? "train" : "run"};
  const int status = status_of(argc, argv, invocation);
  return after_output(status, invocation.verb);
}
