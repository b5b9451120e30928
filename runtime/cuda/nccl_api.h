// The part of NCCL's binary interface that the runtime calls, declared from its documentation
// (https://docs.nvidia.com/deeplearning/nccl, "NCCL API"), so that neither its header nor the library is needed to
// build.
#pragma once

#include <cstddef>

#include "cuda/driver_api.h"

namespace moproc::cuda {

using NcclResult = int;
using NcclComm = struct NcclCommObject*;

/// The id that rank 0 makes and that all ranks pass to NCCL's initialisation.
struct NcclId {
  char bytes[128];
};

constexpr NcclResult kNcclSuccess = 0, kNcclInProgress = 7;
constexpr int kNcclUint8 = 1, kNcclFloat32 = 7;  // ncclDataType_t
constexpr int kNcclSum = 0;                      // ncclRedOp_t

/// Every function that is used: C++ name, exported name, parameters. Counts are in elements.
#define MOPROC_NCCL_FUNCTIONS(X)                                                                              \
  X(version, ncclGetVersion, (int* version))                                                                  \
  X(make_id, ncclGetUniqueId, (NcclId * id))                                                                  \
  X(init_rank, ncclCommInitRank, (NcclComm * comm, int ranks, NcclId id, int rank))                           \
  X(destroy, ncclCommDestroy, (NcclComm comm))                                                                \
  X(abort, ncclCommAbort, (NcclComm comm))                                                                    \
  X(async_error, ncclCommGetAsyncError, (NcclComm comm, NcclResult * error))                                  \
  X(all_reduce, ncclAllReduce,                                                                                \
    (const void* from, void* to, size_t count, int type, int op, NcclComm comm, StreamHandle stream))         \
  X(all_gather, ncclAllGather,                                                                                \
    (const void* from, void* to, size_t count, int type, NcclComm comm, StreamHandle stream))                 \
  X(broadcast, ncclBroadcast,                                                                                 \
    (const void* from, void* to, size_t count, int type, int root, NcclComm comm, StreamHandle stream))       \
  X(send, ncclSend, (const void* from, size_t count, int type, int peer, NcclComm comm, StreamHandle stream)) \
  X(receive, ncclRecv, (void* to, size_t count, int type, int peer, NcclComm comm, StreamHandle stream))      \
  X(group_start, ncclGroupStart, ())                                                                          \
  X(group_end, ncclGroupEnd, ())

}  // namespace moproc::cuda
