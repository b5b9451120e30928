// An image without the kernel that is looked for.
#include "cuda/params.cuh"

extern "C" __global__ void toy_unused(const __grid_constant__ moproc::Params p) { (void)p; }
