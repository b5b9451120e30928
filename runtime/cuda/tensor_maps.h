// Tensor maps: how the tensor memory accelerator of sm_90a sees operands of convolutions.
#pragma once

#include "core/plan.h"
#include "cuda/driver.h"

namespace moproc::cuda {

/// The map of a bf16 tensor at `address`, dense, lines of 128 bytes with the 128-byte swizzle in shared memory. Throws
/// CudaError where the driver refuses it.
TensorMap encode(const Driver& driver, const TensorMapInfo& map, DevicePtr address);

}  // namespace moproc::cuda
