// From the command line to a Trainer, and from exceptions to exit statuses.
#include "train/main.h"

#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include "core/error.h"
#include "data/dataset.h"
#include "train/clean.h"
#include "train/flags.h"
#include "train/lowshot.h"
#include "train/replay.h"
#include "train/trainer.h"

namespace {

int fail(int status, const char* what) {
  std::fflush(stdout);
  std::fprintf(stderr, "train: %s\n", what);
  return status;
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
    if (options.verb == moproc::train::Verb::clean) return moproc::train::run_clean(plan, options);
    if (options.verb == moproc::train::Verb::lowshot) return moproc::train::run_lowshot(plan, options);
    if (options.replay.empty()) return moproc::train::Trainer(plan, options).run();
    moproc::train::run_replay(plan, options);
    return 0;
  } catch (const moproc::InputError& e) {
    return fail(2, e.what());
  } catch (const moproc::data::DatasetError& e) {
    return fail(2, e.what());
  } catch (const std::bad_alloc&) {
    return fail(2, "not enough memory for this artefact; compile it with a smaller batch");
  } catch (const std::exception& e) {
    return fail(1, e.what());
  }
}
