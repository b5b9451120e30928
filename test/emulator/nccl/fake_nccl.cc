// NCCL's functions for ranks on the emulated driver of one machine. Inside, they use shared memory, and work is
// executed when the stream reaches it, captured or not. Sums are added rank by rank, as in no tree, so that tests
// notice code that relies on NCCL's order.
//
// As the real NCCL connects ranks at the first collective of a kind, that one is refused while the stream is captured.
//
//   MOPROC_FAKE_NCCL_LOG      a file name; FILE.RANK gets a line per collective when it is done: NAME COUNT TYPE
//   MOPROC_FAKE_NCCL_TIMEOUT  seconds that a collective waits for the others before it is an error [600]
//   MOPROC_FAKE_NCCL_VERSION  the result of ncclGetVersion [22105]
#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "comm/shm.h"
#include "cuda/nccl_api.h"

namespace moproc::cuda {

struct NcclCommObject {
  std::unique_ptr<comm::Communicator> shm;
  std::string log;
  bool aborted = false;
  NcclResult error = kNcclSuccess;
  std::vector<std::unique_ptr<std::function<void()>>> work;  // kept, because a captured graph repeats it
  std::set<std::string> connected;                           // kinds of collectives that were queued without capture
};

}  // namespace moproc::cuda

namespace {

using namespace moproc;
using namespace moproc::cuda;

constexpr NcclResult kInvalidArgument = 4, kInvalidUsage = 5, kRemoteError = 6;

double from_environment(const char* name, double otherwise) {
  const char* const text = std::getenv(name);
  return text && *text ? std::atof(text) : otherwise;
}

size_t size_of(int type) { return type == kNcclFloat32 ? 4 : 1; }

/// A function of the emulated driver.
template <class F>
F driver(const char* name) {
  void* const library = dlopen(std::getenv("MOPROC_CUDA_DRIVER"), RTLD_NOW | RTLD_NOLOAD);
  return reinterpret_cast<F>(dlsym(library, name));
}

/// Queues work on the stream; `line` begins with its kind. A group collects its point-to-point calls and queues them
/// together.
NcclResult queue(NcclComm comm, StreamHandle stream, std::string line, std::function<void(comm::Communicator&)> body) {
  static const auto launch = driver<Result (*)(StreamHandle, void (*)(void*), void*)>("cuLaunchHostFunc");
  static const auto capturing = driver<Result (*)(StreamHandle, int*)>("cuStreamIsCapturing");
  const std::string kind = line.substr(0, line.find(' '));
  int captured = 0;
  capturing(stream, &captured);
  if (!captured) {
    comm->connected.insert(kind);
  } else if (!comm->connected.contains(kind)) {
    std::fprintf(stderr, "fake nccl: the first %s is in a capture\n", kind.c_str());
    return kInvalidUsage;
  }
  auto work = std::make_unique<std::function<void()>>([comm, line = std::move(line), body = std::move(body)] {
    if (comm->aborted || comm->error != kNcclSuccess) return;
    try {
      body(*comm->shm);
      if (!comm->log.empty()) std::ofstream(comm->log, std::ios::app) << line << "\n";
    } catch (const std::exception& e) {
      std::fprintf(stderr, "fake nccl: %s\n", e.what());
      comm->error = kRemoteError;
    }
  });
  const Result r = launch(stream, [](void* f) { (*static_cast<std::function<void()>*>(f))(); }, work.get());
  comm->work.push_back(std::move(work));
  return r == kSuccess ? kNcclSuccess : 1;
}

struct Transfer {
  bool sends;
  void* data;
  size_t bytes;
  int peer;
  NcclComm comm;
  StreamHandle stream;
};
thread_local int depth = 0;
thread_local std::vector<Transfer> transfers;

/// Every rank sends everything to all ranks, and each takes its own part.
void exchange(comm::Communicator& shm, const std::vector<Transfer>& all) {
  const size_t ranks = static_cast<size_t>(shm.ranks());
  std::vector<int64_t> own(ranks), counts(ranks * ranks);
  std::vector<std::byte> mine;
  for (size_t r = 0; r < ranks; ++r)
    for (const Transfer& t : all)
      if (t.sends && t.peer == static_cast<int>(r)) {
        own[r] += static_cast<int64_t>(t.bytes);
        mine.insert(mine.end(), static_cast<std::byte*>(t.data), static_cast<std::byte*>(t.data) + t.bytes);
      }
  shm.all_gather("counts", reinterpret_cast<const std::byte*>(own.data()), reinterpret_cast<std::byte*>(counts.data()),
                 static_cast<int64_t>(ranks * sizeof(int64_t)));
  int64_t most = 0;
  const auto count = [&](size_t from, size_t to) { return counts[from * ranks + to]; };
  for (size_t from = 0; from < ranks; ++from) {
    int64_t sum = 0;
    for (size_t to = 0; to < ranks; ++to) sum += count(from, to);
    most = std::max(most, sum);
  }
  mine.resize(static_cast<size_t>(most));
  std::vector<std::byte> bytes(static_cast<size_t>(most) * ranks);
  shm.all_gather("parts", mine.data(), bytes.data(), most);
  const size_t self = static_cast<size_t>(shm.rank());
  for (const Transfer& t : all) {
    if (t.sends) continue;
    int64_t at = most * t.peer;
    for (size_t to = 0; to < self; ++to) at += count(static_cast<size_t>(t.peer), to);
    if (count(static_cast<size_t>(t.peer), self) != static_cast<int64_t>(t.bytes))
      throw std::runtime_error("a send and its receive differ in size");
    std::memcpy(t.data, bytes.data() + at, t.bytes);
  }
}

NcclResult transfer(Transfer t) {
  if (depth == 0) return kInvalidArgument;  // the runtime always groups these calls
  transfers.push_back(t);
  return kNcclSuccess;
}

}  // namespace

extern "C" {

NcclResult ncclGetVersion(int* version) {
  *version = static_cast<int>(from_environment("MOPROC_FAKE_NCCL_VERSION", 22105));
  return kNcclSuccess;
}

NcclResult ncclGetUniqueId(NcclId* id) {
  std::memset(id->bytes, 0, sizeof id->bytes);
  std::snprintf(id->bytes, sizeof id->bytes, "/moproc-fake-nccl-%d-%lld", getpid(),
                static_cast<long long>(std::chrono::steady_clock::now().time_since_epoch().count()));
  return kNcclSuccess;
}

NcclResult ncclCommInitRank(NcclComm* comm, int ranks, NcclId id, int rank) {
  auto made = std::make_unique<NcclCommObject>();
  std::string name = id.bytes;
  const double timeout = from_environment("MOPROC_FAKE_NCCL_TIMEOUT", 600);
  for (const auto start = std::chrono::steady_clock::now(); !made->shm;) try {
      made->shm = comm::make_shm({rank, ranks, timeout}, name);
    } catch (const std::exception&) {
      if (rank == 0 || std::chrono::steady_clock::now() - start > std::chrono::duration<double>(timeout))
        return kRemoteError;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  try {
    made->shm->all_gather("the meeting", nullptr, nullptr, 0);
    std::vector<int> here(static_cast<size_t>(ranks));
    made->shm->all_gather("the meeting", reinterpret_cast<const std::byte*>(&rank),
                          reinterpret_cast<std::byte*>(here.data()), sizeof rank);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "fake nccl: %s\n", e.what());
    return kRemoteError;
  }
  if (rank == 0) comm::unlink_shm(name);
  if (const char* const log = std::getenv("MOPROC_FAKE_NCCL_LOG"); log && *log)
    made->log = std::string(log) + "." + std::to_string(rank);
  *comm = made.release();
  return kNcclSuccess;
}

NcclResult ncclCommDestroy(NcclComm comm) {
  delete comm;
  return kNcclSuccess;
}

/// The object is not deleted, because queued work may still run.
NcclResult ncclCommAbort(NcclComm comm) {
  comm->aborted = true;
  return kNcclSuccess;
}

NcclResult ncclCommGetAsyncError(NcclComm comm, NcclResult* error) {
  *error = comm->error;
  return kNcclSuccess;
}

NcclResult ncclAllReduce(const void* from, void* to, size_t count, int type, int op, NcclComm comm,
                         StreamHandle stream) {
  if (type != kNcclFloat32 || op != kNcclSum) return kInvalidArgument;
  return queue(comm, stream, "all_reduce " + std::to_string(count), [=](comm::Communicator& shm) {
    std::vector<float> all(count * static_cast<size_t>(shm.ranks()));
    shm.all_gather("x", static_cast<const std::byte*>(from), reinterpret_cast<std::byte*>(all.data()),
                   static_cast<int64_t>(count * sizeof(float)));
    float* const sum = static_cast<float*>(to);
    for (size_t i = 0; i < count; ++i) {
      sum[i] = all[i];
      for (size_t r = 1; r < static_cast<size_t>(shm.ranks()); ++r) sum[i] += all[r * count + i];
    }
  });
}

NcclResult ncclAllGather(const void* from, void* to, size_t count, int type, NcclComm comm, StreamHandle stream) {
  return queue(comm, stream, "all_gather " + std::to_string(count * size_of(type)), [=](comm::Communicator& shm) {
    shm.all_gather("x", static_cast<const std::byte*>(from), static_cast<std::byte*>(to),
                   static_cast<int64_t>(count * size_of(type)));
  });
}

NcclResult ncclBroadcast(const void* from, void* to, size_t count, int type, int root, NcclComm comm,
                         StreamHandle stream) {
  return queue(comm, stream, "broadcast " + std::to_string(count * size_of(type)), [=](comm::Communicator& shm) {
    if (shm.rank() == root && from != to) std::memcpy(to, from, count * size_of(type));
    shm.broadcast("x", static_cast<std::byte*>(to), static_cast<int64_t>(count * size_of(type)), root);
  });
}

NcclResult ncclSend(const void* from, size_t count, int type, int peer, NcclComm comm, StreamHandle stream) {
  return transfer({true, const_cast<void*>(from), count * size_of(type), peer, comm, stream});
}
NcclResult ncclRecv(void* to, size_t count, int type, int peer, NcclComm comm, StreamHandle stream) {
  return transfer({false, to, count * size_of(type), peer, comm, stream});
}

NcclResult ncclGroupStart() {
  ++depth;
  return kNcclSuccess;
}
NcclResult ncclGroupEnd() {
  if (--depth > 0 || transfers.empty()) return kNcclSuccess;
  const std::vector<Transfer> all = std::move(transfers);
  transfers.clear();
  return queue(all.front().comm, all.front().stream, "exchange " + std::to_string(all.size()),
               [all](comm::Communicator& shm) { exchange(shm, all); });
}

const char* ncclGetErrorString(NcclResult r) {
  return r == kNcclSuccess       ? "no error"
         : r == kRemoteError     ? "remote process exited or there was a network error"
         : r == kInvalidArgument ? "invalid argument"
         : r == kInvalidUsage    ? "invalid usage"
                                 : "unhandled cuda error";
}
}
