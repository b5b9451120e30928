#include "tap.h"

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
