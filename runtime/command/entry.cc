// main() of a training binary: the artefact's plan through the runtime.
#include "command/main.h"
#include "core/plan.h"

int main(int argc, char** argv) { return moproc_train_main(argc, argv, *moproc_plan()); }
