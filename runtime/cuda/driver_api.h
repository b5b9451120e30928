// The part of the CUDA driver's binary interface that the runtime calls, declared from its documentation, so that no
// CUDA header is needed to build. Surprising: functions have the names that the library exports (cuMemAlloc_v2), not
// those of the vendor's header.
#pragma once

#include <cstddef>
#include <cstdint>

namespace moproc::cuda {

using Result = int;
using DeviceId = int;
using DevicePtr = uint64_t;
using Context = struct ContextHandle*;
using StreamHandle = struct StreamObject*;
using EventHandle = struct EventObject*;
using LibraryHandle = struct LibraryObject*;
using KernelHandle = struct KernelObject*;
using FunctionHandle = struct FunctionObject*;
using GraphHandle = struct GraphObject*;
using GraphExecHandle = struct GraphExecObject*;

// Results that the runtime distinguishes.
constexpr Result kSuccess = 0;
constexpr Result kInvalidValue = 1;
constexpr Result kOutOfMemory = 2;
constexpr Result kNoDevice = 100;
constexpr Result kInvalidDevice = 101;
constexpr Result kInvalidImage = 200;
constexpr Result kNoBinaryForGpu = 209;
constexpr Result kInvalidPtx = 218;
constexpr Result kUnsupportedPtxVersion = 222;
constexpr Result kNotFound = 500;
constexpr Result kNotReady = 600;

// Flags and attributes.
constexpr unsigned kStreamNonBlocking = 1;
constexpr unsigned kEventBlockingSync = 1, kEventDisableTiming = 2;
constexpr int kCaptureThreadLocal = 1;
constexpr int kAttributeComputeMajor = 75, kAttributeComputeMinor = 76;
constexpr int kAttributeMaxSharedOptin = 97;
constexpr int kFunctionBinaryVersion = 6, kFunctionMaxDynamicShared = 8;

/// CUtensorMap: how the tensor memory accelerator reads a tensor.
struct alignas(128) TensorMap {
  unsigned char opaque[128];
};
constexpr int kTensorBf16 = 9, kInterleaveNone = 0, kSwizzle128 = 3, kL2Promotion256 = 3, kFillZeros = 0;

/// CUDA_MEMCPY2D: a copy of rows with gaps between them. A pitch is the distance in bytes from one row to the next.
struct CopyRows {
  size_t from_x = 0, from_y = 0;
  unsigned from_type = 2;  // CU_MEMORYTYPE_DEVICE
  const void* from_host = nullptr;
  DevicePtr from = 0;
  void* from_array = nullptr;
  size_t from_pitch = 0;
  size_t to_x = 0, to_y = 0;
  unsigned to_type = 2;
  void* to_host = nullptr;
  DevicePtr to = 0;
  void* to_array = nullptr;
  size_t to_pitch = 0;
  size_t width = 0, rows = 0;
};

/// Every function that is used: C++ name, exported name, parameters.
#define MOPROC_CUDA_FUNCTIONS(X)                                                                                     \
  X(init, cuInit, (unsigned flags))                                                                                  \
  X(driver_version, cuDriverGetVersion, (int* version))                                                              \
  X(device_count, cuDeviceGetCount, (int* count))                                                                    \
  X(device_get, cuDeviceGet, (DeviceId * device, int ordinal))                                                       \
  X(device_name, cuDeviceGetName, (char* name, int length, DeviceId device))                                         \
  X(device_attribute, cuDeviceGetAttribute, (int* value, int attribute, DeviceId device))                            \
  X(device_memory, cuDeviceTotalMem_v2, (size_t* bytes, DeviceId device))                                            \
  X(context_retain, cuDevicePrimaryCtxRetain, (Context * context, DeviceId device))                                  \
  X(context_release, cuDevicePrimaryCtxRelease_v2, (DeviceId device))                                                \
  X(context_use, cuCtxSetCurrent, (Context context))                                                                 \
  X(memory_info, cuMemGetInfo_v2, (size_t* free, size_t* total))                                                     \
  X(memory_alloc, cuMemAlloc_v2, (DevicePtr * memory, size_t bytes))                                                 \
  X(memory_free, cuMemFree_v2, (DevicePtr memory))                                                                   \
  X(host_alloc, cuMemHostAlloc, (void** memory, size_t bytes, unsigned flags))                                       \
  X(host_free, cuMemFreeHost, (void* memory))                                                                        \
  X(upload, cuMemcpyHtoDAsync_v2, (DevicePtr to, const void* from, size_t bytes, StreamHandle stream))               \
  X(download, cuMemcpyDtoHAsync_v2, (void* to, DevicePtr from, size_t bytes, StreamHandle stream))                   \
  X(copy, cuMemcpyDtoDAsync_v2, (DevicePtr to, DevicePtr from, size_t bytes, StreamHandle stream))                   \
  X(copy_rows, cuMemcpy2DAsync_v2, (const CopyRows* copy, StreamHandle stream))                                      \
  X(fill, cuMemsetD8Async, (DevicePtr to, unsigned char value, size_t bytes, StreamHandle stream))                   \
  X(stream_create, cuStreamCreate, (StreamHandle * stream, unsigned flags))                                          \
  X(stream_destroy, cuStreamDestroy_v2, (StreamHandle stream))                                                       \
  X(stream_synchronize, cuStreamSynchronize, (StreamHandle stream))                                                  \
  X(stream_wait, cuStreamWaitEvent, (StreamHandle stream, EventHandle event, unsigned flags))                        \
  X(stream_begin_capture, cuStreamBeginCapture_v2, (StreamHandle stream, int mode))                                  \
  X(stream_end_capture, cuStreamEndCapture, (StreamHandle stream, GraphHandle * graph))                              \
  X(event_create, cuEventCreate, (EventHandle * event, unsigned flags))                                              \
  X(event_destroy, cuEventDestroy_v2, (EventHandle event))                                                           \
  X(event_record, cuEventRecord, (EventHandle event, StreamHandle stream))                                           \
  X(event_synchronize, cuEventSynchronize, (EventHandle event))                                                      \
  X(event_query, cuEventQuery, (EventHandle event))                                                                  \
  X(event_elapsed, cuEventElapsedTime, (float* milliseconds, EventHandle start, EventHandle end))                    \
  X(library_load, cuLibraryLoadData,                                                                                 \
    (LibraryHandle * library, const void* image, int* options, void** values, unsigned count, int* library_options,  \
     void** library_values, unsigned library_count))                                                                 \
  X(library_unload, cuLibraryUnload, (LibraryHandle library))                                                        \
  X(library_kernel, cuLibraryGetKernel, (KernelHandle * kernel, LibraryHandle library, const char* name))            \
  X(kernel_function, cuKernelGetFunction, (FunctionHandle * function, KernelHandle kernel))                          \
  X(function_get, cuFuncGetAttribute, (int* value, int attribute, FunctionHandle function))                          \
  X(function_attribute, cuFuncSetAttribute, (FunctionHandle function, int attribute, int value))                     \
  X(launch, cuLaunchKernel,                                                                                          \
    (FunctionHandle function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y, \
     unsigned block_z, unsigned shared_bytes, StreamHandle stream, void** params, void** extra))                     \
  X(encode_box, cuTensorMapEncodeTiled,                                                                              \
    (TensorMap * map, int type, uint32_t rank, void* address, const uint64_t* extents, const uint64_t* strides,      \
     const uint32_t* box, const uint32_t* steps, int interleave, int swizzle, int l2_promotion, int fill))           \
  X(encode_pixels, cuTensorMapEncodeIm2col,                                                                          \
    (TensorMap * map, int type, uint32_t rank, void* address, const uint64_t* extents, const uint64_t* strides,      \
     const int* lower, const int* upper, uint32_t channels, uint32_t pixels, const uint32_t* steps, int interleave,  \
     int swizzle, int l2_promotion, int fill))                                                                       \
  X(graph_instantiate, cuGraphInstantiateWithFlags,                                                                  \
    (GraphExecHandle * executable, GraphHandle graph, unsigned long long flags))                                     \
  X(graph_launch, cuGraphLaunch, (GraphExecHandle executable, StreamHandle stream))                                  \
  X(graph_exec_destroy, cuGraphExecDestroy, (GraphExecHandle executable))                                            \
  X(graph_destroy, cuGraphDestroy, (GraphHandle graph))                                                              \
  X(error_name, cuGetErrorName, (Result error, const char** text))                                                   \
  X(error_text, cuGetErrorString, (Result error, const char** text))

}  // namespace moproc::cuda
