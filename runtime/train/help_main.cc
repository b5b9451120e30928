// moproc-train-help [VERB]: prints the flags of every training binary, so that they can be listed before one is
// compiled.
#include <cstdio>
#include <string_view>

#include "train/flags.h"

int main(int argc, char** argv) {
  using moproc::train::Verb;
  Verb verb = Verb::train;
  for (const Verb other : {Verb::clean, Verb::retrain, Verb::finetune})
    if (argc > 1 && std::string_view(argv[1]) == moproc::train::name_of(other)) verb = other;
  std::fputs(moproc::train::help_text("train", verb).c_str(), stdout);
  return 0;
}
