// A sum in a fixed order takes three steps: every rank receives its part of all ranks' operands, adds these up, and
// sends the sums to all ranks. Each rank sends as much as in a ring, 2 (ranks - 1) / ranks of the operand.
#include "cuda/nccl.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <thread>

#include "core/error.h"

namespace moproc::cuda {
namespace {

constexpr int kNeeded = 21000;  // the first with reliable collectives in captured graphs
constexpr const char* kPathVariable = "MOPROC_NCCL";
constexpr const char* kFile = "libnccl.so.2";

/// "2.10.0" for 21000; before 2.9, the thousands were the minor version.
std::string show_nccl_version(int v) {
  const int base = v < 10000 ? 1000 : 10000;
  return std::to_string(v / base) + "." + std::to_string(v % base / 100) + "." + std::to_string(v % 100);
}

std::string beside_binary() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? "" : (self.parent_path() / "lib" / kFile).string();
}

}  // namespace

Nccl::Nccl() {
  open();
#define MOPROC_NCCL_BIND(name, symbol, parameters) \
  if (!name.bind(*this, library_, #symbol))        \
    throw InputError(path_ + " has no " #symbol ": it is not NCCL, or a version before " + show_nccl_version(kNeeded));
  MOPROC_NCCL_FUNCTIONS(MOPROC_NCCL_BIND)
#undef MOPROC_NCCL_BIND
  error_text_ = reinterpret_cast<const char* (*)(NcclResult)>(dlsym(library_, "ncclGetErrorString"));
  int v = 0;
  version(&v);
  if (v < kNeeded)
    throw InputError(path_ + " is NCCL " + show_nccl_version(v) + "; several GPUs need " + show_nccl_version(kNeeded) +
                     " or later: install a newer libnccl2, or name one with " + kPathVariable);
}

void Nccl::open() {
  const char* const given = std::getenv(kPathVariable);
  std::string why;
  const auto try_path = [&](const std::string& path) {
    path_ = path;
    library_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library_) return;
    const char* const text = dlerror();
    why = text ? text : "unknown error";
  };
  if (given && *given) {
    try_path(given);
    if (!library_) throw InputError(std::string(kPathVariable) + ": cannot load " + path_ + ": " + why);
    return;
  }
  const std::string own = beside_binary();
  if (!own.empty() && access(own.c_str(), F_OK) == 0) try_path(own);
  if (!library_) try_path(kFile);
  if (!library_)
    throw InputError("several GPUs need NVIDIA's NCCL, which this machine does not have (" + why +
                     "). Install libnccl2 for the driver's CUDA, put " + kFile +
                     " into lib/ beside the binary, or name it with " + kPathVariable);
}

std::string Nccl::show_version() const {
  int v = 0;
  version.unchecked(&v);
  return show_nccl_version(v);
}

std::string Nccl::describe(const char* call, NcclResult r) const {
  const char* const text = error_text_ ? error_text_(r) : nullptr;
  return std::string(call) + ": " + (text ? text : "error " + std::to_string(r));
}

void Nccl::fail(const char* call, NcclResult r) const {
  throw std::runtime_error(describe(call, r) + "; NCCL_DEBUG=INFO shows more");
}

int64_t rank_part(int64_t n, int ranks) {
  constexpr int64_t kAlign = 16;
  const int64_t part = (n + ranks - 1) / ranks;
  return (part + kAlign - 1) / kAlign * kAlign;
}

NcclCommunicator::NcclCommunicator(comm::World& world, std::function<void()> use, StreamHandle stream, RankSums sums,
                                   DevicePtr staging)
    : world_(world), stream_(stream), sums_(std::move(sums)), staging_(staging) {
  world_.agree({{"NCCL version", nccl_.show_version()}});
  meet(use);
}

/// ncclCommInitRank returns when all ranks have called it. It runs on a thread of its own, so that this thread can
/// report which rank is missing.
void NcclCommunicator::meet(const std::function<void()>& use) {
  NcclId id{};
  if (world_.rank() == 0) {
    nccl_.make_id(&id);
    world_.store().set("nccl", std::string(id.bytes, sizeof id.bytes));
  } else {
    const std::string text = world_.store().get("nccl");
    std::memcpy(id.bytes, text.data(), std::min(text.size(), sizeof id.bytes));
  }
  struct Meeting {
    std::mutex mutex;
    std::condition_variable changed;
    bool ended = false;
    NcclComm comm = nullptr;
    NcclResult result = kNcclSuccess;
  };
  const auto meeting = std::make_shared<Meeting>();
  world_.watch().in("the start of NCCL");
  std::thread thread([meeting, use, id, init = nccl_.init_rank, ranks = world_.ranks(), rank = world_.rank()] {
    use();
    NcclComm comm = nullptr;
    const NcclResult r = init.unchecked(&comm, ranks, id, rank);
    const std::lock_guard lock(meeting->mutex);
    meeting->comm = comm;
    meeting->result = r;
    meeting->ended = true;
    meeting->changed.notify_all();
  });
  const auto start = std::chrono::steady_clock::now();
  std::unique_lock lock(meeting->mutex);
  while (!meeting->changed.wait_for(lock, std::chrono::milliseconds(20), [&] { return meeting->ended; })) {
    lock.unlock();
    try {
      world_.watch().check(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    } catch (...) {
      thread.detach();  // it ends only with the process
      throw;
    }
    lock.lock();
  }
  thread.join();
  comm_ = meeting->comm;
  if (meeting->result != kNcclSuccess)
    throw comm::LostRank(nccl_.describe("ncclCommInitRank", meeting->result) + "; NCCL_DEBUG=INFO shows more; " +
                         world_.watch().verdict());
}

NcclCommunicator::~NcclCommunicator() {
  if (comm_) nccl_.destroy.unchecked(comm_);
}

void NcclCommunicator::all_reduce(const char*, const float* from, float* to, int64_t n) {
  if (n == 0) return;
  if (sums_) return all_reduce_in_order(from, to, n);
  nccl_.all_reduce(from, to, static_cast<size_t>(n), kNcclFloat32, kNcclSum, comm_, stream_);
}

void NcclCommunicator::all_reduce_in_order(const float* from, float* to, int64_t n) {
  const int64_t part = rank_part(n, ranks());
  const auto begin = [&](int r) { return std::min(n, part * r); };
  const auto count = [&](int r) { return static_cast<size_t>(begin(r + 1) - begin(r)); };
  float* const staging = reinterpret_cast<float*>(staging_);
  const size_t own = count(rank());
  nccl_.group_start();
  for (int r = 0; r < ranks(); ++r) {
    if (count(r) > 0) nccl_.send(from + begin(r), count(r), kNcclFloat32, r, comm_, stream_);
    if (own > 0) nccl_.receive(staging + part * r, own, kNcclFloat32, r, comm_, stream_);
  }
  nccl_.group_end();
  if (own > 0)
    sums_(staging_, part, reinterpret_cast<DevicePtr>(to + begin(rank())), static_cast<int64_t>(own), stream_);
  nccl_.group_start();
  for (int r = 0; r < ranks(); ++r)
    if (count(r) > 0) nccl_.broadcast(to + begin(r), to + begin(r), count(r), kNcclFloat32, r, comm_, stream_);
  nccl_.group_end();
}

void NcclCommunicator::all_gather(const char*, const std::byte* from, std::byte* to, int64_t bytes) {
  if (bytes > 0) nccl_.all_gather(from, to, static_cast<size_t>(bytes), kNcclUint8, comm_, stream_);
}

void NcclCommunicator::broadcast(const char*, std::byte* data, int64_t bytes, int root) {
  if (bytes > 0) nccl_.broadcast(data, data, static_cast<size_t>(bytes), kNcclUint8, root, comm_, stream_);
}

void NcclCommunicator::check(double seconds) {
  try {
    NcclResult error = kNcclSuccess;
    const NcclResult asked = comm_ ? nccl_.async_error.unchecked(comm_, &error) : kNcclSuccess;
    if (asked != kNcclSuccess) error = asked;
    if (error != kNcclSuccess && error != kNcclInProgress)
      throw comm::LostRank(nccl_.describe("NCCL", error) + "; " + world_.watch().verdict());
    world_.watch().check(seconds);
  } catch (const comm::LostRank&) {
    if (comm_) nccl_.abort.unchecked(comm_);
    comm_ = nullptr;
    throw;
  }
}

}  // namespace moproc::cuda
