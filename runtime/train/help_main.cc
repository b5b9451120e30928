// moproc-train-help [VERB]: prints the flags of every training binary, so that they can be listed before one is
// compiled.
#include <cstdio>

#include "train/flags.h"

int main(int argc, char** argv) {
  const moproc::train::Verb verb = moproc::train::verb_of(argc > 1 ? argv[1] : "");
  std::fputs(moproc::train::help_text("train", verb).c_str(), stdout);
  return 0;
}
