// The flags of every training binary, without one.
#include <cstdio>

#include "train/flags.h"

int main() { std::fputs(moproc::train::help_text("train").c_str(), stdout); }
