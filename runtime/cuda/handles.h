// RAII owners of the driver's objects. Surprising: errors of releasing are ignored, because destructors also run after
// an error, and then every call of the driver fails with that first error again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "cuda/driver.h"

namespace moproc::cuda {

/// Owns a handle, which `release` frees. H() stands for none.
template <class H, class Release>
class Owned {
 public:
  Owned() = default;
  Owned(const Driver& driver, H handle) : driver_(&driver), handle_(handle) {}
  ~Owned() { reset(); }
  Owned(Owned&& o) noexcept : driver_(o.driver_), handle_(std::exchange(o.handle_, H())) {}
  Owned& operator=(Owned&& o) noexcept {
    reset();
    driver_ = o.driver_;
    handle_ = std::exchange(o.handle_, H());
    return *this;
  }
  H get() const { return handle_; }

 private:
  void reset() {
    if (handle_ != H()) Release()(*driver_, handle_);
    handle_ = H();
  }

  const Driver* driver_ = nullptr;
  H handle_ = H();
};

#define MOPROC_CUDA_OWNED(Name, H, release)                                           \
  struct Name##Release {                                                              \
    void operator()(const Driver& d, H handle) const { d.release.unchecked(handle); } \
  };                                                                                  \
  using Name = Owned<H, Name##Release>;
MOPROC_CUDA_OWNED(Stream, StreamHandle, stream_destroy)
MOPROC_CUDA_OWNED(Event, EventHandle, event_destroy)
MOPROC_CUDA_OWNED(Memory, DevicePtr, memory_free)
MOPROC_CUDA_OWNED(PinnedMemory, void*, host_free)
MOPROC_CUDA_OWNED(Library, LibraryHandle, library_unload)
MOPROC_CUDA_OWNED(Graph, GraphHandle, graph_destroy)
MOPROC_CUDA_OWNED(GraphExec, GraphExecHandle, graph_exec_destroy)
#undef MOPROC_CUDA_OWNED

/// A stream that does not synchronise with the default stream.
inline Stream make_stream(const Driver& d) {
  StreamHandle s = nullptr;
  d.stream_create(&s, kStreamNonBlocking);
  return {d, s};
}

/// An event. The time between two timed events can be measured.
inline Event make_event(const Driver& d, bool timed) {
  EventHandle e = nullptr;
  d.event_create(&e, timed ? 0 : kEventBlockingSync | kEventDisableTiming);
  return {d, e};
}

/// Device memory with undefined contents; none for 0 bytes.
inline Memory make_memory(const Driver& d, int64_t bytes, const char* what) {
  if (bytes == 0) return {};
  const Doing doing(d, {.doing = what});
  DevicePtr p = 0;
  d.memory_alloc(&p, static_cast<size_t>(bytes));
  return {d, p};
}

/// Page-locked host memory with undefined contents; none for 0 bytes.
inline PinnedMemory make_pinned(const Driver& d, int64_t bytes, const char* what) {
  if (bytes == 0) return {};
  const Doing doing(d, {.doing = what});
  void* p = nullptr;
  d.host_alloc(&p, static_cast<size_t>(bytes), 0);
  return {d, p};
}

}  // namespace moproc::cuda
