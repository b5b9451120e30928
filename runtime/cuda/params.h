// The host's copy of struct Params in kernels/cuda/params.cuh: the argument of every CUDA kernel, passed by value. The
// offsets of the fields must agree.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/driver_api.h"

namespace moproc::cuda {

struct Params {
  static constexpr int kBuffers = 48, kScalars = 16;
  DevicePtr buf[kBuffers];  // tensors in the order of the kernel's parameter list
  float scalars[kScalars];  // numbers of the fused body
  int64_t rows, groups;     // rows % groups == 0; row n belongs to group n / (rows / groups)
  int64_t extent[4];        // template-specific sizes known only at launch
  DevicePtr workspace;      // shared by all blocks and phases of the launch
  int32_t phase;
  static constexpr int kMaps = 2;
  TensorMap map[kMaps];  // for the path of sm_90a
};

static_assert(offsetof(Params, buf) == 0 && offsetof(Params, scalars) == 384);
static_assert(offsetof(Params, rows) == 448 && offsetof(Params, groups) == 456 && offsetof(Params, extent) == 464);
static_assert(offsetof(Params, workspace) == 496 && offsetof(Params, phase) == 504);
static_assert(offsetof(Params, map) == 512 && sizeof(Params) == 768 && alignof(Params) == 128);

}  // namespace moproc::cuda
