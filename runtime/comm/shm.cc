// Protocol: data is passed through the slots in pieces. Each rank writes a piece to its own slot, then increments its
// count; when all ranks have counted the piece, every rank reads it. There are two sets of slots, used in turn: a rank
// that counts a piece has read the previous one, so the set of the piece before that is free. A rank that waits checks
// every 50 ms whether another rank is lost, because otherwise it might wait forever.
#include "comm/shm.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <vector>

#include "core/error.h"

namespace moproc::comm {
namespace {

constexpr int64_t kSlotBytes = 1 << 20;
constexpr int kSets = 2;
constexpr int kSpins = 2000;
constexpr uint64_t kMagic = 0x6d6f70726f633031;
constexpr int kText = 192;

/// A text that other processes may read while it is written. They may get a mixture of two texts, but nothing past its
/// end.
template <size_t kRoom>
class SharedText {
 public:
  void set(const std::string& text) {
    const size_t size = std::min(text.size(), kRoom - 1);
    for (size_t i = 0; i < size; ++i) bytes_[i].store(text[i], std::memory_order_relaxed);
    bytes_[size].store('\0', std::memory_order_relaxed);
  }
  std::string get() const {
    std::string text;
    for (char c; text.size() < kRoom - 1 && (c = bytes_[text.size()].load(std::memory_order_relaxed)) != '\0';)
      text += c;
    return text;
  }

 private:
  std::atomic<char> bytes_[kRoom];
};

/// The state of a rank that the other ranks see.
struct alignas(kShmAlignment) RankState {
  std::atomic<uint32_t> count;    // pieces handed over; a futex
  std::atomic<uint32_t> waiters;  // ranks that sleep on it
  std::atomic<int32_t> pid;
  std::atomic<int64_t> step;
  std::atomic<uint32_t> gave_up;  // 1: `why` is complete
  SharedText<64> host;
  SharedText<kText> what;  // the collective it is in
  SharedText<kText> why;
};

struct Header {
  std::atomic<uint64_t> magic;
  int32_t ranks;
  int64_t bytes;
};
static_assert(std::atomic<char>::is_always_lock_free && std::atomic<uint32_t>::is_always_lock_free &&
              std::atomic<int64_t>::is_always_lock_free && sizeof(std::atomic<char>) == 1);

size_t header_bytes() { return sizeof(RankState); }
size_t segment_bytes(int ranks) {
  const size_t states = header_bytes() + sizeof(RankState) * static_cast<size_t>(ranks);
  return (states + 4095) / 4096 * 4096 + static_cast<size_t>(kSets) * static_cast<size_t>(ranks) * kSlotBytes;
}

/// Whether the process has ended: it does not exist, or it is dead and its parent has not collected it yet.
bool has_ended(int pid) {
  if (kill(pid, 0) != 0 && errno == ESRCH) return true;
  std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  if (!std::getline(stat, text)) return false;
  const size_t behind_name = text.rfind(')');
  return behind_name != std::string::npos && behind_name + 2 < text.size() &&
         (text[behind_name + 2] == 'Z' || text[behind_name + 2] == 'X');
}

void futex_wait(std::atomic<uint32_t>& word, uint32_t seen, int64_t milliseconds) {
  const timespec limit{milliseconds / 1000, milliseconds % 1000 * 1000000};
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT, seen, &limit, nullptr, 0);
}

void futex_wake(std::atomic<uint32_t>& word) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE, 1 << 30, nullptr, nullptr, 0);
}

class ShmCommunicator : public Communicator {
 public:
  ShmCommunicator(const ShmOptions& o, void* memory, bool mapped)
      : o_(o), memory_(static_cast<std::byte*>(memory)), mapped_(mapped) {
    RankState& own = state(o.rank);
    char host[64] = "";
    gethostname(host, sizeof host - 1);
    own.host.set(host);
    own.step = -1;
    own.pid = getpid();
  }
  ~ShmCommunicator() override {
    if (mapped_) munmap(memory_, segment_bytes(o_.ranks));
  }
  ShmCommunicator(const ShmCommunicator&) = delete;
  ShmCommunicator& operator=(const ShmCommunicator&) = delete;

  const char* name() const override { return "shm"; }
  int rank() const override { return o_.rank; }
  int ranks() const override { return o_.ranks; }
  void at_step(int64_t step) override { state(o_.rank).step = step; }

  void give_up(const std::string& why) noexcept override {
    RankState& own = state(o_.rank);
    own.why.set(why);
    own.gave_up = 1;
    futex_wake(own.count);
  }

  void all_reduce(const char* what, const float* from, float* to, int64_t n) override {
    begin("all_reduce", what);
    constexpr int64_t piece = kSlotBytes / static_cast<int64_t>(sizeof(float));
    for (int64_t at = 0; at < n; at += piece) {
      const int64_t here = std::min(piece, n - at);
      std::memcpy(slot(o_.rank), from + at, static_cast<size_t>(here) * sizeof(float));
      count_piece();
      // Each rank adds up a part of the piece; the sums overwrite rank 0's operands.
      const int64_t part = (here + o_.ranks - 1) / o_.ranks, begin = std::min(here, part * o_.rank),
                    end = std::min(here, begin + part);
      std::vector<const float*> summands;
      for (int r = 0; r < o_.ranks; ++r) summands.push_back(reinterpret_cast<const float*>(slot(r)) + begin);
      float* const sums = reinterpret_cast<float*>(slot(0));
      tree_sum(summands, sums + begin, end - begin);
      count_piece();
      std::memcpy(to + at, sums, static_cast<size_t>(here) * sizeof(float));
      set_ = 1 - set_;
    }
  }

  void all_gather(const char* what, const std::byte* from, std::byte* to, int64_t bytes) override {
    begin("all_gather", what);
    for (int64_t at = 0; at < bytes; at += kSlotBytes) {
      const size_t here = static_cast<size_t>(std::min(kSlotBytes, bytes - at));
      std::memcpy(slot(o_.rank), from + at, here);
      count_piece();
      for (int r = 0; r < o_.ranks; ++r) std::memcpy(to + r * bytes + at, slot(r), here);
      set_ = 1 - set_;
    }
  }

  void broadcast(const char* what, std::byte* data, int64_t bytes, int root) override {
    begin("broadcast", what);
    for (int64_t at = 0; at < bytes; at += kSlotBytes) {
      const size_t here = static_cast<size_t>(std::min(kSlotBytes, bytes - at));
      if (o_.rank == root) std::memcpy(slot(root), data + at, here);
      count_piece();
      if (o_.rank != root) std::memcpy(data + at, slot(root), here);
      set_ = 1 - set_;
    }
  }

 private:
  RankState& state(int rank) {
    return *reinterpret_cast<RankState*>(memory_ + header_bytes() + sizeof(RankState) * static_cast<size_t>(rank));
  }
  std::byte* slot(int rank) {
    const size_t slots =
        segment_bytes(o_.ranks) - static_cast<size_t>(kSets) * static_cast<size_t>(o_.ranks) * kSlotBytes;
    return memory_ + slots +
           (static_cast<size_t>(set_) * static_cast<size_t>(o_.ranks) + static_cast<size_t>(rank)) * kSlotBytes;
  }

  void begin(const char* collective, const char* what) {
    state(o_.rank).what.set(std::string(collective) + " of " + what);
  }

  /// Counts the piece for this rank; returns when all ranks have counted it.
  void count_piece() {
    RankState& own = state(o_.rank);
    const uint32_t mine = own.count.fetch_add(1, std::memory_order_seq_cst) + 1;
    if (own.waiters.load(std::memory_order_seq_cst) > 0) futex_wake(own.count);
    for (int r = 0; r < o_.ranks; ++r)
      if (r != o_.rank) wait_for(r, mine);
  }

  void wait_for(int r, uint32_t mine) {
    RankState& other = state(r);
    const auto behind = [&] { return static_cast<int32_t>(other.count.load(std::memory_order_acquire) - mine) < 0; };
    for (int i = 0; i < kSpins; ++i) {
      if (!behind()) return;
      __builtin_ia32_pause();
    }
    const auto start = std::chrono::steady_clock::now();
    ++other.waiters;
    while (behind()) {
      const uint32_t seen = other.count.load();
      if (static_cast<int32_t>(seen - mine) >= 0) break;
      constexpr int64_t kLook = 50;  // ms
      futex_wait(other.count, seen, kLook);
      if (!behind()) break;
      look_for_lost(r, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    --other.waiters;
  }

  /// Throws LostRank if any rank has given up or died, or if rank r has been waited for longer than the time-out.
  void look_for_lost(int r, double seconds) {
    for (int q = 0; q < o_.ranks; ++q) {
      RankState& other = state(q);
      if (q == o_.rank) continue;
      if (other.gave_up) throw LostRank(who(q) + " gave up: " + other.why.get());
      if (const int pid = other.pid; pid != 0 && has_ended(pid))
        throw LostRank(who(q) + " has died in " + place(q) + "; this rank waits in " + place(o_.rank));
    }
    if (seconds > o_.timeout) {
      char text[64];
      std::snprintf(text, sizeof text, "%g s", o_.timeout);
      if (state(r).pid == 0)
        throw LostRank("rank " + std::to_string(r) + " has not connected within " + text + " (--timeout)");
      throw LostRank(who(r) + " has been missing for " + text + " (--timeout): it was last seen in " + place(r) +
                     ", this rank waits in " + place(o_.rank));
    }
  }

  std::string who(int r) {
    return "rank " + std::to_string(r) + " (process " + std::to_string(state(r).pid) + " on " + state(r).host.get() +
           ")";
  }
  std::string place(int r) {
    const int64_t step = state(r).step;
    const std::string what = state(r).what.get();
    return step < 0 ? (what.empty() ? "the beginning" : what)
                    : "step " + std::to_string(step) + ", " + (what.empty() ? "no collective yet" : what);
  }

  const ShmOptions o_;
  std::byte* const memory_;
  const bool mapped_;
  int set_ = 0;
};

void* map(int fd, size_t bytes, const std::string& name) {
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  const int error = errno;
  close(fd);
  if (memory == MAP_FAILED) throw InputError("shared memory " + name + ": " + std::strerror(error));
  return memory;
}

}  // namespace

std::unique_ptr<Communicator> make_shm(const ShmOptions& options, std::string& name) {
  const size_t bytes = segment_bytes(options.ranks);
  if (options.rank == 0) {
    if (name.empty())
      name = "/moproc-" + std::to_string(getpid()) + "-" +
             std::to_string(std::chrono::steady_clock::now().time_since_epoch().count());
    const int fd = shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0) throw InputError("shared memory " + name + ": " + std::strerror(errno));
    if (const int error = posix_fallocate(fd, 0, static_cast<off_t>(bytes));
        error != 0) {  // reports a lack of memory now, instead of SIGBUS later
      close(fd);
      shm_unlink(name.c_str());
      throw InputError("shared memory: " + std::to_string(bytes / 1000000) +
                       " MB in /dev/shm: " + std::strerror(error) + "; containers get more with --shm-size");
    }
    void* const memory = map(fd, bytes, name);
    Header& header = *static_cast<Header*>(memory);
    header.ranks = options.ranks;
    header.bytes = static_cast<int64_t>(bytes);
    header.magic = kMagic;
    return std::make_unique<ShmCommunicator>(options, memory, true);
  }
  const int fd = shm_open(name.c_str(), O_RDWR, 0600);
  if (fd < 0)
    throw InputError("shared memory " + name + ": " + std::strerror(errno) +
                     "; all ranks have to be on one machine, and see one /dev/shm");
  struct stat is{};
  if (fstat(fd, &is) != 0 || static_cast<size_t>(is.st_size) < bytes) {
    close(fd);
    throw InputError("shared memory " + name + " does not belong to this run");
  }
  void* const memory = map(fd, bytes, name);
  const Header& header = *static_cast<Header*>(memory);
  if (header.magic != kMagic || header.ranks != options.ranks) {
    munmap(memory, bytes);
    throw InputError("shared memory " + name + " does not belong to this run");
  }
  return std::make_unique<ShmCommunicator>(options, memory, true);
}

size_t shm_bytes(int ranks) { return segment_bytes(ranks); }

std::unique_ptr<Communicator> make_shm_in(void* memory, const ShmOptions& options) {
  return std::make_unique<ShmCommunicator>(options, memory, false);
}

void unlink_shm(const std::string& name) { shm_unlink(name.c_str()); }

}  // namespace moproc::comm
