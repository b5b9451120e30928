// The same tests for every device whose templates have the same names, constants and meaning: compiled for the CPU
// as it is, and with MOPROC_EMULATOR for the CUDA kernels in the emulator. `#include MOPROC_KERNEL(softmax)`.
#pragma once

#if defined(MOPROC_EMULATOR)
#include "native/cuda/harness.h"
#define MOPROC_KERNEL(name) <cuda/name.cuh>
#else
#include "native/kernels/harness.h"
#define MOPROC_KERNEL(name) <cpu/name.hpp>
#endif
