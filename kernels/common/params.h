// The arguments of every CPU kernel, emitted or hand-written. Tensors are identified by position; the emitted file
// lists the name, type and shape of each.
#pragma once

#include <cstdint>

namespace moproc {

/// Arguments of one launch. Extents that may change without rebuilding a kernel are here; the rest are constants
/// of the instantiation.
struct Params {
  void* const* buf;      // tensors in the order of the kernel's parameter list
  int64_t rows;          // leading extent of the iteration domain: images of the whole batch, or matrix rows
  int64_t groups;        // rows % groups == 0; row n belongs to group n / (rows / groups)
  int64_t extent[4];     // template-specific sizes known only at launch (matmul: m, n, k)
  void* workspace;       // Launch::workspace_bytes, shared by all tasks and phases of the launch
  const float* scalars;  // numbers of the fused body: the same kernel serves bodies that differ only in them
};

/// A range of the tasks of one phase. All tasks of a phase end before the next phase begins.
struct Task {
  int phase;
  int64_t begin, end;
  void* scratch;  // Launch::scratch_bytes of this thread, 64-byte aligned, contents undefined
};

using CpuEntry = void (*)(const Params&, const Task&);

}  // namespace moproc
