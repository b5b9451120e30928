// Runs all tests of this folder; an argument chooses by name.
#include "tap.h"

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
