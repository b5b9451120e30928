// Sums have the same order as with every communicator: each rank receives its part of all operands, adds these up and
// sends the sums to all ranks. 2 (ranks - 1) / ranks of the operand are sent, as much as in a ring. Waiting polls, so
// that a lost rank is noticed.
#include "comm/mpi.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>
#include <vector>

#include "core/error.h"

namespace moproc::comm {
namespace {

constexpr const char* kPathVariable = "MOPROC_MPI";
constexpr const char* kFile = "moproc_mpi.so";
constexpr int64_t kPiece = 64 << 20;  // bytes per transfer, because counts are ints

std::string plugin_path() {
  if (const char* const given = std::getenv(kPathVariable); given && *given) return given;
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return error ? kFile : (self.parent_path() / kFile).string();
}

/// The plugin is never unloaded, because MPI libraries do not work after being unloaded.
const MoprocMpi& plugin() {
  const std::string path = plugin_path();
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (!library) {
    const char* const why = dlerror();
    throw InputError(std::string("CPU ranks on several machines need Open MPI and the plug-in ") + kFile + " (" +
                     (why ? why : path) +
                     "); install libopenmpi-dev and run npm run build, then compile anew, or name the plug-in with " +
                     kPathVariable);
  }
  const auto get = reinterpret_cast<const MoprocMpi* (*)()>(dlsym(library, "moproc_mpi_plugin"));
  if (!get || get()->version != 1) throw InputError(path + " is not a plug-in of this version");
  return *get();
}

class MpiCommunicator : public Communicator {
 public:
  MpiCommunicator(int rank, int ranks, Watch& watch)
      : mpi_(plugin()), watch_(watch), rank_(rank), ranks_(ranks), counts_(static_cast<size_t>(ranks)), at_(counts_) {
    watch.in("the start of MPI");
    int own = 0, all = 0;
    if (const char* const why = mpi_.open(&own, &all)) throw InputError(std::string("MPI does not start: ") + why);
    if (own == rank && all == ranks) return;
    mpi_.close(1);
    throw InputError("MPI has " + std::to_string(all) + " ranks and calls this " + std::to_string(own) +
                     ", the launcher " + std::to_string(ranks) + " and " + std::to_string(rank) +
                     "; start the ranks with mpirun");
  }
  ~MpiCommunicator() override { mpi_.close(lost_ ? 1 : 0); }
  MpiCommunicator(const MpiCommunicator&) = delete;
  MpiCommunicator& operator=(const MpiCommunicator&) = delete;

  const char* name() const override { return "mpi"; }
  int rank() const override { return rank_; }
  int ranks() const override { return ranks_; }
  void give_up(const std::string&) noexcept override { lost_ = true; }

  void all_reduce(const char* what, const float* from, float* to, int64_t n) override {
    watch_.in(std::string("all_reduce of ") + what);
    constexpr int64_t kFloats = kPiece / int64_t{sizeof(float)};
    for (int64_t at = 0; at < n; at += kFloats) reduce(from + at, to + at, std::min(kFloats, n - at));
  }

  void all_gather(const char* what, const std::byte* from, std::byte* to, int64_t bytes) override {
    watch_.in(std::string("all_gather of ") + what);
    if (from != to + rank_ * bytes) std::memmove(to + rank_ * bytes, from, static_cast<size_t>(bytes));
    const int64_t most = std::max<int64_t>(1, kPiece / ranks_);
    for (int64_t at = 0; at < bytes; at += most) {
      const int64_t here = std::min(most, bytes - at);
      if (here == bytes) {
        lay_out(bytes * ranks_, bytes);
        wait(mpi_.begin_gather(to, counts_.data(), at_.data()));
        continue;
      }
      room_.resize(static_cast<size_t>(here * ranks_));  // the ranks' pieces side by side; in `to` they are apart
      std::memcpy(room_.data() + rank_ * here, to + rank_ * bytes + at, static_cast<size_t>(here));
      lay_out(here * ranks_, here);
      wait(mpi_.begin_gather(room_.data(), counts_.data(), at_.data()));
      for (int r = 0; r < ranks_; ++r)
        std::memcpy(to + r * bytes + at, room_.data() + r * here, static_cast<size_t>(here));
    }
  }

  void broadcast(const char* what, std::byte* data, int64_t bytes, int root) override {
    watch_.in(std::string("broadcast of ") + what);
    for (int64_t at = 0; at < bytes; at += kPiece)
      wait(mpi_.begin_broadcast(data + at, static_cast<int>(std::min(kPiece, bytes - at)), root));
  }

 private:
  /// Divides `bytes` into one part of `part` bytes per rank; the last parts are shorter.
  void lay_out(int64_t bytes, int64_t part) {
    for (int r = 0; r < ranks_; ++r) {
      const int64_t begin = std::min(bytes, part * r), end = std::min(bytes, begin + part);
      at_[static_cast<size_t>(r)] = static_cast<int>(begin);
      counts_[static_cast<size_t>(r)] = static_cast<int>(end - begin);
    }
  }

  void reduce(const float* from, float* to, int64_t n) {
    const int64_t part = (n + ranks_ - 1) / ranks_;
    lay_out(n * int64_t{sizeof(float)}, part * int64_t{sizeof(float)});
    const int own = counts_[static_cast<size_t>(rank_)];
    room_.resize(static_cast<size_t>(own) * static_cast<size_t>(ranks_));
    wait(mpi_.begin_scatter(from, counts_.data(), at_.data(), room_.data(), own));
    const int64_t floats = own / int64_t{sizeof(float)};
    std::vector<const float*> summands;
    for (int r = 0; r < ranks_; ++r) summands.push_back(reinterpret_cast<const float*>(room_.data()) + r * floats);
    tree_sum(summands, to + std::min(n, part * rank_), floats);
    wait(mpi_.begin_gather(to, counts_.data(), at_.data()));
  }

  /// Polls without a pause at first, then every 50 us.
  void wait(const char* refused) {
    if (refused) fail(refused);
    const auto start = std::chrono::steady_clock::now();
    constexpr int kSpins = 2000;
    for (int i = 0;; ++i) {
      const int state = mpi_.test();
      if (state > 0) return;
      if (state < 0) fail(mpi_.error());
      if (i < kSpins) continue;
      try {
        watch_.check(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
      } catch (const LostRank&) {
        lost_ = true;
        throw;
      }
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }

  [[noreturn]] void fail(const std::string& why) {
    lost_ = true;
    throw LostRank("MPI: " + why + "; " + watch_.verdict());
  }

  const MoprocMpi& mpi_;
  Watch& watch_;
  const int rank_, ranks_;
  std::vector<int> counts_, at_;
  std::vector<std::byte> room_;
  bool lost_ = false;
};

}  // namespace

std::unique_ptr<Communicator> make_mpi(int rank, int ranks, Watch& watch) {
  return std::make_unique<MpiCommunicator>(rank, ranks, watch);
}

}  // namespace moproc::comm
