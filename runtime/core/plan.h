// The compiled programs as constants, which plan.cpp defines and the runtime executes. Nothing is parsed at run time.
// Keep the order of the fields: the compiler writes initialisers in it.
#pragma once

#include <cstdint>

#include "common/params.h"

namespace moproc {

enum class DType : uint8_t { f32, bf16, f16, f64, i64, i32, u8, boolean, i16, i8, u64, u32, u16 };
enum class Arena : uint8_t { state, grad, work, io };
enum class Role : uint8_t { param, momentum, buffer, derived };
enum class InitKind : uint8_t { constant, normal, uniform, unit_columns, copy };

/// An array with static storage inside plan.cpp.
template <class T>
struct Span {
  const T* data;
  int32_t size;
  const T* begin() const { return data; }
  const T* end() const { return data + size; }
  const T& operator[](int32_t i) const { return data[i]; }
};

struct TensorInfo {
  const char* name;
  DType dtype;
  Arena arena;
  int32_t rank;
  int64_t shape[6];  // logical: (N, C, H, W), weights (O, I, H, W); 4-D tensors are stored channels-last
  int64_t offset;    // bytes in its arena
  int64_t bytes;
};

struct StateInfo {
  int32_t tensor;
  Role role;
  InitKind init;
  double value;             // constant: the value; normal: standard deviation; uniform: bound
  int32_t copy_of;          // copy: index into Plan::state, else -1
  bool first_rank = false;  // with several ranks: only rank 0 has the new value after a step
};

struct KernelInfo {
  const char* symbol;
  const char* tmpl;      // name of the template: a column of the profile
  CpuEntry entry;        // null on CUDA: the kernel is in one of Plan::images under its symbol
  int32_t threads;       // CUDA: per block
  int32_t shared_bytes;  // CUDA: dynamic shared memory per block
  int32_t hopper_threads = 0, hopper_shared_bytes = 0;  // the same for the code for sm_90a; 0: as above
};

/// How the tensor memory accelerator (TMA) of sm_90a reads a bf16 operand (compiler/lower/template.ts). Extents are
/// dense, innermost first.
struct TensorMapInfo {
  int32_t arg;  // index of the operand among the launch's arguments
  int32_t rank;
  int64_t extent[4];
  int32_t box[4];              // extents of one copy; window: channels, pixels
  int32_t step;                // window: from one base pixel to the next; 0: no window
  int32_t lower[2], upper[2];  // window: base pixels reach from lower to extent - 1 + upper along width, height
};

/// all_reduce and all_gather begin a collective, on all ranks in the same order (compiler/ops/collective.ts). await
/// waits until all of them have ended. own_rows copies this rank's part of the rows.
enum class StepKind : uint8_t { launch, copy, all_reduce, all_gather, own_rows, await };

struct StepInfo {
  StepKind kind;
  const char* name;
  int32_t kernel;      // launch: index into Plan::kernels
  Span<int32_t> args;  // launch: tensors in parameter order; copy and collectives: {from, to}
  int64_t rows, groups;
  int64_t extent[4];
  Span<int64_t> tasks;  // tasks per phase; CUDA: blocks
  int64_t workspace;    // offset in the work arena
  double flops, bytes;
  Span<float> scalars;            // Params::scalars
  Span<TensorMapInfo> maps = {};  // Params::map; CUDA
};

struct ProgramInfo {
  const char* name;
  Span<int32_t> inputs;  // tensors of the io arena, which the caller sets before each run
  Span<int32_t> outputs;
  Span<StepInfo> steps;
  int64_t work_bytes;      // of the work arena that the layout uses
  int64_t live_bytes_max;  // the largest sum of live bytes: no layout can be smaller
  int32_t ranks = 1;       // number of ranks that share the batch; 0: any
};

struct MetaInfo {
  const char* key;
  const char* value;
};

/// An embedded fatbin: compiled CUDA kernels.
struct ImageInfo {
  const unsigned char* data;
  int64_t bytes;
};

/// The driver that code compiled by `nvcc` needs (compiler/emit/nvcc.ts).
struct DriverInfo {
  const char* nvcc;     // "13.0"
  int32_t cuda;         // the driver's CUDA version: 12040 for 12.4
  const char* release;  // "580.65.06": the first driver of that version; "" if unknown
};

/// The version of the plan that this runtime reads: it changes whenever a struct of this file does.
constexpr int32_t kPlanVersion = 2;

struct Plan {
  int32_t version;  // kPlanVersion
  const char* name;
  const char* digest;      // of everything that the state layout and the arithmetic depend on
  const char* device;      // "cpu" or "cuda"
  const char* arch;        // "x86-64-v4"; CUDA: the targets of the images, "sm_80,sm_90a,compute_90"
  Span<MetaInfo> meta;     // task, arch, num_class, batch, groups, image_size, low_dim, queue, width
  int64_t arena_bytes[4];  // indexed by Arena
  int64_t scratch_bytes;   // per thread
  Span<TensorInfo> tensors;
  Span<StateInfo> state;  // in the order of the checkpoint
  Span<KernelInfo> kernels;
  Span<ProgramInfo> programs;
  Span<ImageInfo> images;         // CUDA: each kernel is in one of them; empty on the CPU
  Span<DriverInfo> drivers = {};  // CUDA: of the nvcc that compiled the images, then of older nvccs that could
};

}  // namespace moproc

/// Defined by plan.cpp in every artefact.
extern "C" const moproc::Plan* moproc_plan();
