// The emulated machine behind the driver's functions: its memory, streams, code and errors. Work queued on streams runs
// only when something waits for it or, with a seed, at random moments before. A copy that nothing waits for is
// therefore really late.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "config.h"
#include "cuda/driver_api.h"
#include "device_memory.h"

namespace moproc {
struct Params;
}

namespace emulator::driver {

using moproc::cuda::DevicePtr;
using moproc::cuda::Result;

// Results that only the emulated driver returns; the runtime does not name them.
constexpr Result kInvalidContext = 201, kInvalidHandle = 400, kIllegalAddress = 700;
constexpr Result kLaunchFailed = 719, kCaptureUnsupported = 900, kCaptureUnjoined = 904, kCaptureIsolation = 905,
                 kDeadlock = 702;

/// Ends a call with a result.
struct Failure {
  Result result;
};

/// One recording of an event; done when the stream has reached it.
struct Record {
  bool done = false;
  std::chrono::steady_clock::time_point time;
};

/// A capture, on one or more streams: the stream that began it, and those that have waited for one of its events since.
struct Capture {
  struct Operation {
    int lane;  // index of its stream, in the order of joining
    std::function<void()> body;
    int after = -1, record = -1;  // recordings of events
  };
  std::vector<Operation> operations;
  std::vector<struct Stream*> lanes;
  int records = 0;
};

struct Event {
  bool timed = false;
  std::shared_ptr<Record> last;      // null: never recorded
  std::shared_ptr<Capture> capture;  // of the last recording, if it was in a capture
  int captured = -1;
};

struct Operation {
  std::function<void()> body;      // skipped after a kernel has failed
  std::shared_ptr<Record> after;   // the operation waits for it; null: for nothing
  std::shared_ptr<Record> record;  // done when this operation is
};

struct Stream {
  int number = 0;  // in the order of creation, so that the seed's choices do not depend on addresses
  std::deque<Operation> queue;
  std::shared_ptr<Capture> capture;  // null: no capture is in progress
  int lane = 0;                      // in it
};

struct Graph {
  std::vector<Capture::Operation> operations;
  int lanes = 1, records = 0;
  std::vector<Stream*>
      streams;  // of an executable: streams of all lanes except the first, which runs on the launching stream
};

/// A loaded image. Its file stays open for as long, so that no two images have one path, by which the loader tells them
/// apart.
struct Image {
  void* handle = nullptr;
  int file = -1;
};

struct Library {
  Image image;
  std::map<std::string, std::unique_ptr<struct Kernel>> kernels;
};

struct Kernel {
  std::string name;
  void* entry = nullptr;
  int most_shared = 48 << 10;  // until cuFuncSetAttribute
};

class Machine {
 public:
  static Machine& get();

  /// Reads the configuration again if no context is held.
  void configure();
  const Config& config() const { return config_; }
  /// Executes a call of the driver under the lock, as every call must: counts it, returns the error that the
  /// configuration or an earlier kernel demands, turns exceptions into results.
  Result call(const char* name, bool needs_context, const std::function<void()>& body);
  int64_t count(const std::string& call) const;
  void add(const std::string& what, int64_t n) { counts_[what] += n; }
  std::string& problems() { return problems_; }
  /// Notes an error of the program, also on stderr.
  void problem(const std::string& text);

  void retain() { ++contexts_; }
  void release();
  /// Sets whether the calling thread has a current context.
  static void use(bool on);

  // Memory.
  DevicePtr allocate(size_t bytes);
  void free(DevicePtr p);
  int64_t free_bytes() const { return config_.memory - used_; }
  void* allocate_host(size_t bytes);
  void free_host(void* p);
  /// The host bytes at p; throws unless `bytes` bytes of one allocation in use lie there.
  unsigned char* device_bytes(DevicePtr p, size_t bytes, const char* what);
  bool pinned(const void* p, size_t bytes) const;
  bool lives(DevicePtr p) const;

  // Streams: the handles are the addresses of these objects.
  // They exist until they are removed.
  Stream* add_stream();
  Event* add_event(bool timed);
  Graph* add_graph(Graph g, bool executable);
  Library* add_library(const void* image);
  void remove_stream(Stream* s);
  void remove_event(Event* e);
  void remove_graph(Graph* g, bool executable);
  void remove_library(Library* l);
  Stream& stream(const void* handle);
  Event& event(const void* handle);
  Graph& graph(const void* handle, bool executable);
  Library& library(const void* handle);

  /// Queues work on a stream, or records it if the stream is being captured.
  void queue(Stream& s, std::function<void()> body);
  void put(Stream& s, Operation op);
  // Events, in a capture or not.
  void record(Stream& s, Event& e);
  void wait_for(Stream& s, const Event& e);
  /// Ends the capture that `s` began.
  Graph end_capture(Stream& s);
  void launch_graph(const Graph& g, Stream& s);
  /// For calls that only query: executes one piece of queued work.
  void look() { run_one(); }
  /// Runs queued work, of any stream in a legal order, until `done`.
  void run_until(const std::function<bool()>& done);
  void run_all();
  /// Runs a kernel now. If it fails, every later call returns the error.
  void run_kernel(const Kernel& k, unsigned grid, unsigned block, unsigned shared, const void* params);

 private:
  Machine() = default;
  void flip_a_bit(const Kernel& k, const moproc::Params& p);
  bool run_one();
  void run_some(int one_in);
  void end_context();

  Config config_;
  std::mt19937 random_;
  std::map<std::string, int64_t> counts_;
  std::string problems_;
  std::recursive_mutex mutex_;
  Result broken_ = 0;  // the result of every call after a kernel has failed
  int contexts_ = 0, streams_made_ = 0;
  int64_t used_ = 0, allocations_made_ = 0;
  std::map<DevicePtr, std::unique_ptr<DeviceMemory>> memory_;
  std::map<uintptr_t, std::vector<unsigned char>> host_;
  std::map<const void*, std::unique_ptr<Stream>> streams_;
  std::map<const void*, std::unique_ptr<Event>> events_;
  std::map<const void*, std::unique_ptr<Graph>> graphs_, executables_;
  std::map<const void*, std::unique_ptr<Library>> libraries_;
};

/// The image as a loaded shared object; if it is none, the handle is null and `why` has the reason.
Image open_image(const void* image, std::string& why);
void close_image(const Image& image);
void* find_symbol(const Image& image, const char* name);

}  // namespace emulator::driver
