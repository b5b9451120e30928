// main() of a training binary: the artefact's plan through the runtime.
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "command/main.h"
#include "core/plan.h"

namespace {

/// Has this process end with its parent, whose id is in MOPROC_PARENT, as if told to by SIGTERM: the command line that
/// started it, when that is killed. The variable is not for processes that this one starts.
void end_with_parent() {
  const char* const text = std::getenv("MOPROC_PARENT");
  if (!text) return;
  const long parent = std::strtol(text, nullptr, 10);
  unsetenv("MOPROC_PARENT");
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) std::raise(SIGTERM);  // it has ended before
}

}  // namespace

int main(int argc, char** argv) {
  end_with_parent();
  return moproc_train_main(argc, argv, *moproc_plan());
}
