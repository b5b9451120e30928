// moproc-train-help [clean]: prints the flags of every training binary, so that they can be listed before one is
// compiled.
#include <cstdio>
#include <string_view>

#include "train/flags.h"

int main(int argc, char** argv) {
  using moproc::train::Verb;
  const bool clean = argc > 1 && std::string_view(argv[1]) == "clean";
  std::fputs(moproc::train::help_text("train", clean ? Verb::clean : Verb::train).c_str(), stdout);
  return 0;
}
