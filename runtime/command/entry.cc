// main() of a training binary: runs the artefact's plan.
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "command/main.h"
#include "core/plan.h"

namespace {

/// If the command line that started this process is killed, this process gets SIGTERM. MOPROC_PARENT holds the id of
/// that parent; it is removed from the environment, because it does not apply to processes that this one starts.
void end_with_parent() {
  const char* const text = std::getenv("MOPROC_PARENT");
  if (!text) return;
  const long parent = std::strtol(text, nullptr, 10);
  unsetenv("MOPROC_PARENT");
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) std::raise(SIGTERM);  // the parent ended before prctl()
}

}  // namespace

int main(int argc, char** argv) {
  end_with_parent();
  return moproc_train_main(argc, argv, *moproc_plan());
}
