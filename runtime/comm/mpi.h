// CPU ranks on several machines, over Open MPI. MPI has no common binary interface, so the calls are in a plug-in,
// moproc_mpi.so, which is built if mpi.h is found. The binary looks for it at the path MOPROC_MPI and beside itself.
#pragma once

#include <memory>

#include "comm/communicator.h"
#include "comm/watch.h"

namespace moproc::comm {

/// Waits for all ranks, which mpirun or srun --mpi must have started. Throws InputError if there is no plug-in, if it
/// is for another MPI, or if the ranks are not MPI's; throws LostRank.
std::unique_ptr<Communicator> make_mpi(int rank, int ranks, Watch& watch);

}  // namespace moproc::comm

/// What the plug-in exports as moproc_mpi_plugin(). The interface is C because the plug-in may be built with another
/// C++ library. A function that returns text returns null on success; the text is valid until the next call. Only one
/// transfer may be in flight: begin it, then test it until it ends.
extern "C" {
struct MoprocMpi {
  int version;  // 1
  const char* (*open)(int* rank, int* ranks);
  /// Ends MPI. With `lost`, does not wait for the other ranks.
  void (*close)(int lost);
  /// All-to-all: sends `counts[r]` bytes at `from + at[r]` to each rank r, and receives `own` bytes from each rank, in
  /// the order of the ranks, in `to`.
  const char* (*begin_scatter)(const void* from, const int* counts, const int* at, void* to, int own);
  /// All-gather: receives `counts[r]` bytes from each rank r at `to + at[r]`. This rank's part must be there already.
  const char* (*begin_gather)(void* to, const int* counts, const int* at);
  const char* (*begin_broadcast)(void* data, int bytes, int root);
  /// 1: ended; 0: not yet; -1: failed, see error().
  int (*test)();
  const char* (*error)();
};
}
