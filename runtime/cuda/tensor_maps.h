// Tensor maps: how the tensor memory accelerator of sm_90a reads operands of convolutions.
#pragma once

#include "core/plan.h"
#include "cuda/driver.h"

namespace moproc::cuda {

/// Encodes the map of a dense bf16 tensor at `address`. In shared memory its lines have 128 bytes and the 128-byte
/// swizzle. Throws CudaError if the driver refuses it.
TensorMap encode(const Driver& driver, const TensorMapInfo& map, DevicePtr address);

}  // namespace moproc::cuda
