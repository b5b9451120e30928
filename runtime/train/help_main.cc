// moproc-train-help: prints the flags of every training binary, so that they can be listed before one is
// compiled.
#include <cstdio>

#include "train/flags.h"

int main() {
  std::fputs(moproc::train::help_text("train").c_str(), stdout);
  return 0;
}
