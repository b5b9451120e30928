// Our declarations of the interfaces of the CUDA driver and of NCCL against the vendor's headers, and NCCL itself, each
// if it is installed. Headers are compared when this is compiled.
#include <dlfcn.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <type_traits>

#if __has_include(<cuda.h>)
#include <cuda.h>
#define HAVE_CUDA_H 1
#endif
#if __has_include(<nccl.h>)
#include <nccl.h>
#define HAVE_NCCL_H 1
#endif

#include "cuda/driver_api.h"
#include "cuda/nccl.h"
#include "tap.h"

using namespace moproc;
using namespace moproc::test;

namespace {

/// Whether an argument or result is passed in the same way: enums as ints, handles as pointers, structs by their size.
template <class A, class B>
constexpr bool same_slot =
    sizeof(A) == sizeof(B) && std::is_pointer_v<A> == std::is_pointer_v<B> &&
    std::is_class_v<A> == std::is_class_v<B> && std::is_floating_point_v<A> == std::is_floating_point_v<B>;

template <class R, class... A, class S, class... B>
constexpr bool same_call(R (*)(A...), S (*)(B...)) {
  if constexpr (sizeof...(A) == sizeof...(B)) return sizeof(R) == sizeof(S) && (same_slot<A, B> && ...);
  else return false;
}

#define COMPARE(name, symbol, parameters)                                                                     \
  static_assert(                                                                                              \
      same_call(static_cast<cuda::Result(*) parameters>(nullptr), static_cast<decltype(&::symbol)>(nullptr)), \
      #symbol " has other parameters than our declaration of it");

#ifdef HAVE_CUDA_H
namespace driver {
using namespace cuda;
MOPROC_CUDA_FUNCTIONS(COMPARE)

static_assert(sizeof(CopyRows) == sizeof(CUDA_MEMCPY2D) && CopyRows().from_type == CU_MEMORYTYPE_DEVICE &&
              offsetof(CopyRows, from) == offsetof(CUDA_MEMCPY2D, srcDevice) &&
              offsetof(CopyRows, from_pitch) == offsetof(CUDA_MEMCPY2D, srcPitch) &&
              offsetof(CopyRows, to) == offsetof(CUDA_MEMCPY2D, dstDevice) &&
              offsetof(CopyRows, to_pitch) == offsetof(CUDA_MEMCPY2D, dstPitch) &&
              offsetof(CopyRows, width) == offsetof(CUDA_MEMCPY2D, WidthInBytes) &&
              offsetof(CopyRows, rows) == offsetof(CUDA_MEMCPY2D, Height));
static_assert(sizeof(TensorMap) == sizeof(CUtensorMap) && alignof(TensorMap) >= alignof(CUtensorMap));
static_assert(kTensorBf16 == CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 && kInterleaveNone == CU_TENSOR_MAP_INTERLEAVE_NONE);
static_assert(kSwizzle128 == CU_TENSOR_MAP_SWIZZLE_128B && kL2Promotion256 == CU_TENSOR_MAP_L2_PROMOTION_L2_256B);
static_assert(kFillZeros == CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
static_assert(kSuccess == CUDA_SUCCESS && kNotReady == CUDA_ERROR_NOT_READY && kNotFound == CUDA_ERROR_NOT_FOUND);
static_assert(kOutOfMemory == CUDA_ERROR_OUT_OF_MEMORY && kNoDevice == CUDA_ERROR_NO_DEVICE);
static_assert(kInvalidImage == CUDA_ERROR_INVALID_IMAGE && kNoBinaryForGpu == CUDA_ERROR_NO_BINARY_FOR_GPU);
static_assert(kInvalidPtx == CUDA_ERROR_INVALID_PTX && kUnsupportedPtxVersion == CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
static_assert(kInvalidValue == CUDA_ERROR_INVALID_VALUE && kInvalidDevice == CUDA_ERROR_INVALID_DEVICE);
static_assert(kStreamNonBlocking == CU_STREAM_NON_BLOCKING && kEventBlockingSync == CU_EVENT_BLOCKING_SYNC);
static_assert(kEventDisableTiming == CU_EVENT_DISABLE_TIMING);
static_assert(kCaptureThreadLocal == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
static_assert(kAttributeComputeMajor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
static_assert(kAttributeComputeMinor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
static_assert(kAttributeMaxSharedOptin == CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
static_assert(kFunctionMaxDynamicShared == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
static_assert(kFunctionBinaryVersion == CU_FUNC_ATTRIBUTE_BINARY_VERSION);
}  // namespace driver
#endif

#ifdef HAVE_NCCL_H
namespace nccl {
using namespace cuda;
MOPROC_NCCL_FUNCTIONS(COMPARE)

static_assert(sizeof(NcclId) == sizeof(ncclUniqueId) && sizeof(NcclId) == NCCL_UNIQUE_ID_BYTES);
static_assert(kNcclSuccess == ncclSuccess && kNcclInProgress == ncclInProgress);
static_assert(kNcclUint8 == ncclUint8 && kNcclFloat32 == ncclFloat32 && kNcclSum == ncclSum);
}  // namespace nccl
#endif

/// Whether the loader finds the library.
bool is_there(const char* library) {
  void* const handle = dlopen(library, RTLD_LAZY);
  return handle != nullptr;  // NCCL must not be unloaded
}

}  // namespace

TEST("abi: our declarations of the driver agree with cuda.h") {
#ifdef HAVE_CUDA_H
  CHECK(CUDA_VERSION >= 12000);
#else
  skip("no <cuda.h> on this machine");
#endif
}

TEST("abi: our declarations of NCCL agree with nccl.h") {
#ifdef HAVE_NCCL_H
  CHECK(NCCL_VERSION_CODE >= 21000);
#else
  skip("no <nccl.h> on this machine");
#endif
}

TEST("abi: the real NCCL says its version and, beside a driver, makes an id") {
  unsetenv("MOPROC_NCCL");
  if (!is_there("libnccl.so.2")) skip("no libnccl.so.2 on this machine");
  const cuda::Nccl nccl;
  int version = 0;
  nccl.version(&version);
  CHECK(version >= 21000);
  if (!is_there("libcuda.so.1")) skip("NCCL " + nccl.show_version() + " without a driver makes no id");
  cuda::NcclId id{};
  nccl.make_id(&id);
  CHECK(std::any_of(std::begin(id.bytes), std::end(id.bytes), [](char c) { return c != 0; }));
}
