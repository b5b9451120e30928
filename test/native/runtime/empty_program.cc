// A library without programs, for the tests of the loader. PLAN_VERSION is the version that it claims; without
// PLAN_VERSION, the library has no plan.
#include "core/plan.h"

#ifdef PLAN_VERSION
namespace {
constexpr moproc::Plan kEmpty = {.version = PLAN_VERSION, .name = "empty", .digest = "", .device = "cpu", .arch = ""};
}
extern "C" const moproc::Plan* moproc_plan() { return &kEmpty; }
#endif
