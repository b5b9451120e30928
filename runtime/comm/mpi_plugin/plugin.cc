// moproc_mpi.so: the few calls of MPI that comm/mpi.cc needs, built with the headers of the installed MPI. All
// transfers are non-blocking, so that the caller can check the other ranks while it waits.
#include <mpi.h>

#include <vector>

#include "comm/mpi.h"

namespace {

MPI_Request request = MPI_REQUEST_NULL;
char text[MPI_MAX_ERROR_STRING] = "";
int rank = 0, ranks = 1;
std::vector<int> own_counts, own_at;  // of the transfer in progress

const char* told(int result) {
  if (result == MPI_SUCCESS) return nullptr;
  int length = 0;
  MPI_Error_string(result, text, &length);
  return text;
}

const char* open(int* own, int* all) {
  int given = 0;
  if (const char* const why = told(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &given))) return why;
  if (given < MPI_THREAD_SERIALIZED) return "this MPI allows calls by the main thread alone";
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  *own = rank;
  *all = ranks;
  return nullptr;
}

/// Without the others MPI cannot be finalised: it would wait for them.
void close(int lost) {
  if (!lost) MPI_Finalize();
}

const char* begin_scatter(const void* from, const int* counts, const int* at, void* to, int own) {
  own_counts.assign(static_cast<size_t>(ranks), own);
  own_at.clear();
  for (int r = 0; r < ranks; ++r) own_at.push_back(own * r);
  return told(MPI_Ialltoallv(from, counts, at, MPI_BYTE, to, own_counts.data(), own_at.data(), MPI_BYTE, MPI_COMM_WORLD,
                             &request));
}

const char* begin_gather(void* to, const int* counts, const int* at) {
  return told(MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_BYTE, to, counts, at, MPI_BYTE, MPI_COMM_WORLD, &request));
}

const char* begin_broadcast(void* data, int bytes, int root) {
  return told(MPI_Ibcast(data, bytes, MPI_BYTE, root, MPI_COMM_WORLD, &request));
}

int test() {
  int ended = 0;
  if (told(MPI_Test(&request, &ended, MPI_STATUS_IGNORE))) return -1;
  return ended;
}

const char* error() { return text; }

}  // namespace

extern "C" const MoprocMpi* moproc_mpi_plugin() {
  static const MoprocMpi plugin = {1, open, close, begin_scatter, begin_gather, begin_broadcast, test, error};
  return &plugin;
}
