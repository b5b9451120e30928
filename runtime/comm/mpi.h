// CPU ranks on several machines, over Open MPI: in a plug-in, moproc_mpi.so, that is built where mpi.h is, because
// there is no one binary interface of MPI. The binary looks for it at MOPROC_MPI and beside itself.
#pragma once

#include <memory>

#include "comm/communicator.h"
#include "comm/watch.h"

namespace moproc::comm {

/// Waits for all ranks, which mpirun (or srun --mpi) must have started. Throws InputError (no plug-in, another MPI, or
/// ranks that are not MPI's), LostRank.
std::unique_ptr<Communicator> make_mpi(int rank, int ranks, Watch& watch);

}  // namespace moproc::comm

/// What the plug-in exports as moproc_mpi_plugin(). C, because it may be built with another C++ library. Functions that
/// return text return null on success; the text lives until the next call. One transfer at a time: begun, then tested
/// until it ends.
extern "C" {
struct MoprocMpi {
  int version;  // 1
  const char* (*open)(int* rank, int* ranks);
  /// Ends MPI; `lost`: without the others.
  void (*close)(int lost);
  /// Each rank r gets `counts[r]` bytes from `from + at[r]`, and this one `own` bytes from each, one behind the other,
  /// in `to`.
  const char* (*begin_scatter)(const void* from, const int* counts, const int* at, void* to, int own);
  /// All ranks' parts, `counts[r]` bytes each, at `to + at[r]`; this rank's is there already.
  const char* (*begin_gather)(void* to, const int* counts, const int* at);
  const char* (*begin_broadcast)(void* data, int bytes, int root);
  /// 1: ended; 0: not yet; -1: failed, see error().
  int (*test)();
  const char* (*error)();
};
}
