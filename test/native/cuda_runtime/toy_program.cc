// The CUDA toy plan as an artefact's program.so, for the addon's test.
#include "cuda_toy.h"

extern "C" const moproc::Plan* moproc_plan() {
  static const moproc::test::CudaToyPlan toy;
  return &toy.plan();
}
