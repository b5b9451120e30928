// Calls, errors and leaks; memory and handles. streams.cc runs queued work.
#include "machine.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>

namespace emulator::driver {
namespace {

// Whether the thread has a context; there is only one.
thread_local bool has_context = false;

template <class T>
T* hold(std::map<const void*, std::unique_ptr<T>>& all, T value) {
  auto owned = std::make_unique<T>(std::move(value));
  T* const p = owned.get();
  all.emplace(p, std::move(owned));
  return p;
}

template <class T>
T& find(Machine& m, const std::map<const void*, std::unique_ptr<T>>& all, const void* handle, const char* what) {
  const auto found = all.find(handle);
  if (found != all.end()) return *found->second;
  m.problem(std::string("a ") + what + " that does not exist (any more) is used");
  throw Failure{kInvalidHandle};
}

}  // namespace

Machine& Machine::get() {
  static Machine machine;
  return machine;
}

void Machine::configure() {
  if (contexts_ > 0) return;
  config_ = read_config(std::getenv("MOPROC_EMULATOR"));
  random_.seed(config_.seed);
  counts_.clear();
  broken_ = 0;
}

Result Machine::call(const char* name, bool needs_context, const std::function<void()>& body) {
  const std::lock_guard lock(mutex_);
  const int64_t nth = ++counts_[name];
  const auto fail = config_.fail.find(name);
  if (fail != config_.fail.end() && fail->second.second == nth) return fail->second.first;
  if (needs_context && contexts_ == 0) return kInvalidContext;
  if (needs_context && !has_context) {
    problem(std::string(name) + " by a thread without a current context");
    return kInvalidContext;
  }
  if (broken_ && needs_context) return broken_;
  try {
    body();
  } catch (const Failure& f) {
    return f.result;
  } catch (const std::bad_alloc&) {
    return moproc::cuda::kOutOfMemory;
  } catch (const std::exception& e) {
    problem(std::string(name) + ": " + e.what());
    return 999;
  }
  return broken_ && needs_context ? broken_ : moproc::cuda::kSuccess;
}

int64_t Machine::count(const std::string& call) const {
  const auto found = counts_.find(call);
  return found == counts_.end() ? 0 : found->second;
}

void Machine::problem(const std::string& text) {
  problems_ += text + "\n";
  std::fprintf(stderr, "cuda emulator: %s\n", text.c_str());
}

void Machine::use(bool on) { has_context = on; }

void Machine::release() {
  if (contexts_ == 0) throw Failure{kInvalidContext};
  if (--contexts_ == 0) end_context();
}

/// After an error nothing can be released, so the remaining objects are not leaks.
void Machine::end_context() {
  const auto leak = [this](const char* what, size_t n) {
    if (n > 0 && !broken_) problem("leak: " + std::to_string(n) + " " + what + " left at the end of the context");
  };
  leak("device allocations", memory_.size());
  leak("host allocations", host_.size());
  leak("streams", streams_.size());
  leak("events", events_.size());
  leak("graphs", graphs_.size());
  leak("executable graphs", executables_.size());
  leak("libraries", libraries_.size());
  for (const auto& [handle, s] : streams_)
    if (!s->queue.empty() && !broken_) problem("the context ends while a stream has work");
  memory_.clear(), host_.clear(), streams_.clear(), events_.clear(), graphs_.clear(), executables_.clear();
  while (!libraries_.empty()) remove_library(libraries_.begin()->second.get());
  used_ = 0;
}

DevicePtr Machine::allocate(size_t bytes) {
  if (bytes == 0) throw Failure{moproc::cuda::kInvalidValue};
  if (static_cast<int64_t>(bytes) > free_bytes()) throw Failure{moproc::cuda::kOutOfMemory};
  auto owned = std::make_unique<DeviceMemory>(bytes, "allocation " + std::to_string(++allocations_made_));
  const DevicePtr p = reinterpret_cast<DevicePtr>(owned->data());
  memory_.emplace(p, std::move(owned));
  used_ += static_cast<int64_t>(bytes);
  return p;
}

/// Freeing waits for all queued work, as the real driver does.
void Machine::free(DevicePtr p) {
  run_all();
  const auto found = memory_.find(p);
  if (found == memory_.end()) {
    problem("device memory that is not allocated (any more) is freed");
    throw Failure{moproc::cuda::kInvalidValue};
  }
  if (!found->second->intact()) problem("bytes beside " + found->second->name() + " were written");
  used_ -= static_cast<int64_t>(found->second->bytes());
  memory_.erase(found);
}

void* Machine::allocate_host(size_t bytes) {
  std::vector<unsigned char> memory(bytes + 256, 0xcd);
  const uintptr_t start = (reinterpret_cast<uintptr_t>(memory.data()) + 63) / 64 * 64;
  host_.emplace(start, std::move(memory));
  return reinterpret_cast<void*>(start);
}

void Machine::free_host(void* p) {
  run_all();
  if (host_.erase(reinterpret_cast<uintptr_t>(p)) == 1) return;
  problem("host memory that is not allocated (any more) is freed");
  throw Failure{moproc::cuda::kInvalidValue};
}

bool Machine::pinned(const void* p, size_t bytes) const {
  const uintptr_t at = reinterpret_cast<uintptr_t>(p);
  auto next = host_.upper_bound(at);
  if (next == host_.begin()) return false;
  const auto& [start, memory] = *--next;
  return at + bytes <= start + memory.size();
}

bool Machine::lives(DevicePtr p) const {
  auto next = memory_.upper_bound(p);
  if (next == memory_.begin()) return false;
  const DeviceMemory& m = *(--next)->second;
  return p - next->first <= m.bytes();
}

unsigned char* Machine::device_bytes(DevicePtr p, size_t bytes, const char* what) {
  auto next = memory_.upper_bound(p);
  if (next != memory_.begin()) {
    const DeviceMemory& m = *(--next)->second;
    if (p - next->first + bytes <= m.bytes()) return m.data() + (p - next->first);
  }
  problem(std::string(what) + " of " + std::to_string(bytes) +
          " bytes at an address that is no device memory (any more)");
  throw Failure{moproc::cuda::kInvalidValue};
}

Stream* Machine::add_stream() { return hold(streams_, Stream{++streams_made_, {}, nullptr, 0}); }
Event* Machine::add_event(bool timed) { return hold(events_, Event{timed, nullptr, nullptr}); }
Graph* Machine::add_graph(Graph g, bool executable) { return hold(executable ? executables_ : graphs_, std::move(g)); }

Library* Machine::add_library(const void* image) {
  std::string why;
  const Image loaded = open_image(image, why);
  if (!loaded.handle) {
    std::fprintf(stderr, "cuda emulator: the image cannot be loaded: %s\n", why.c_str());
    throw Failure{moproc::cuda::kInvalidImage};
  }
  Library* const l = hold(libraries_, Library{});
  l->image = loaded;
  return l;
}

void Machine::remove_stream(Stream* s) {
  Stream& found = stream(s);
  run_until([&] { return found.queue.empty(); });
  streams_.erase(s);
}

void Machine::remove_event(Event* e) { event(e), events_.erase(e); }
void Machine::remove_graph(Graph* g, bool executable) {
  for (Stream* s : graph(g, executable).streams) remove_stream(s);
  (executable ? executables_ : graphs_).erase(g);
}
void Machine::remove_library(Library* l) {
  close_image(library(l).image);
  libraries_.erase(l);
}

Stream& Machine::stream(const void* h) { return find(*this, streams_, h, "stream"); }
Event& Machine::event(const void* h) { return find(*this, events_, h, "event"); }
Library& Machine::library(const void* h) { return find(*this, libraries_, h, "library"); }
Graph& Machine::graph(const void* h, bool executable) {
  return find(*this, executable ? executables_ : graphs_, h, executable ? "executable graph" : "graph");
}

}  // namespace emulator::driver
