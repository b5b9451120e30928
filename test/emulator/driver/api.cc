// The driver's functions, with the names and parameters that the runtime declares for itself, and three of the
// emulator's own for tests. Handles are addresses of the machine's objects.
#include <cstdlib>
#include <cstring>

#include "cuda/params.cuh"
#include "machine.h"
#include "tensor_map.h"

namespace emulator::driver {
namespace {

using namespace moproc::cuda;

Machine& machine() { return Machine::get(); }

template <class F>
Result in_context(const char* name, F&& body) {
  return machine().call(name, true, body);
}

template <class F>
Result anywhere(const char* name, F&& body) {
  return machine().call(name, false, body);
}

void require(bool ok) {
  if (!ok) throw Failure{kInvalidValue};
}

void require_device(DeviceId d) {
  if (d < 0 || d >= machine().config().devices) throw Failure{kInvalidDevice};
}

/// Refuses calls that would wait: they cannot be part of a graph, and they end the capture of any stream.
void require_no_capture(const Stream& s, const char* name) {
  if (!s.capture) return;
  machine().problem(std::string(name) + " on a stream that is being captured");
  throw Failure{kCaptureUnsupported};
}

Stream& stream_of(StreamHandle h) {
  if (h) return machine().stream(h);
  machine().problem("the default stream is used: it waits for no stream of the runtime");
  throw Failure{kInvalidHandle};
}

/// Queues the operation and runs queued work until it is done.
void run_now(Stream& s, std::function<void()> body) {
  auto record = std::make_shared<Record>();
  machine().put(s, {std::move(body), nullptr, record});
  machine().run_until([&] { return record->done; });
}

/// Lengths and addresses are checked at the call and again when the copy runs, because memory may be freed in between.
void queue_upload(Stream& s, DevicePtr to, const void* from, size_t n) {
  machine().device_bytes(to, n, "an upload");
  if (machine().pinned(from, n)) {
    machine().add("bytes uploaded", static_cast<int64_t>(n));
    machine().queue(s, [=] { std::memcpy(machine().device_bytes(to, n, "an upload"), from, n); });
    return;
  }
  require_no_capture(s, "an upload from pageable memory");
  const auto* const bytes = static_cast<const unsigned char*>(from);
  machine().queue(s, [to, n, staged = std::vector<unsigned char>(bytes, bytes + n)] {
    std::memcpy(machine().device_bytes(to, n, "an upload"), staged.data(), n);
  });
}

void queue_download(Stream& s, void* to, DevicePtr from, size_t n) {
  machine().device_bytes(from, n, "a download");
  auto body = [=] { std::memcpy(to, machine().device_bytes(from, n, "a download"), n); };
  if (machine().pinned(to, n)) return machine().queue(s, body);
  require_no_capture(s, "a download to pageable memory");
  run_now(s, body);
}

Kernel* kernel_of(Library& l, const char* name) {
  const auto known = l.kernels.find(name);
  if (known != l.kernels.end()) return known->second.get();
  void* const entry = find_symbol(l.image, name);
  if (!entry) throw Failure{kNotFound};
  auto made = std::make_unique<Kernel>(Kernel{name, entry});
  return (l.kernels[name] = std::move(made)).get();
}

}  // namespace
}  // namespace emulator::driver

using namespace emulator::driver;
using namespace moproc::cuda;

extern "C" {

Result cuInit(unsigned) {
  machine().configure();
  return anywhere(__func__, [] {
    if (machine().config().devices == 0) throw Failure{kNoDevice};
  });
}
Result cuDriverGetVersion(int* version) {
  machine().configure();
  return anywhere(__func__, [=] { *version = machine().config().version; });
}
Result cuDeviceGetCount(int* count) {
  return anywhere(__func__, [=] { *count = machine().config().devices; });
}
Result cuDeviceGet(DeviceId* device, int ordinal) {
  return anywhere(__func__, [=] { require_device(ordinal), *device = ordinal; });
}
Result cuDeviceGetName(char* name, int length, DeviceId device) {
  return anywhere(__func__, [=] {
    require_device(device);
    std::strncpy(name, machine().config().name.c_str(), static_cast<size_t>(length));
    name[length - 1] = 0;
  });
}
Result cuDeviceGetAttribute(int* value, int attribute, DeviceId device) {
  return anywhere(__func__, [=] {
    require_device(device);
    const Config& c = machine().config();
    switch (attribute) {
      case kAttributeComputeMajor: *value = c.compute / 10; return;
      case kAttributeComputeMinor: *value = c.compute % 10; return;
      case kAttributeMaxSharedOptin: *value = c.shared; return;
      default: throw Failure{kInvalidValue};
    }
  });
}
Result cuDeviceTotalMem_v2(size_t* bytes, DeviceId device) {
  return anywhere(__func__, [=] { require_device(device), *bytes = static_cast<size_t>(machine().config().memory); });
}

Result cuDevicePrimaryCtxRetain(Context* context, DeviceId device) {
  return anywhere(__func__, [=] {
    require_device(device);
    machine().retain();
    *context = reinterpret_cast<Context>(&machine());
  });
}
Result cuDevicePrimaryCtxRelease_v2(DeviceId) {
  return anywhere(__func__, [] { machine().release(); });
}
Result cuCtxSetCurrent(Context context) {
  return anywhere(__func__, [=] { Machine::use(context != nullptr); });
}

Result cuMemGetInfo_v2(size_t* free, size_t* total) {
  return in_context(__func__, [=] {
    *free = static_cast<size_t>(machine().free_bytes());
    *total = static_cast<size_t>(machine().config().memory);
  });
}
Result cuMemAlloc_v2(DevicePtr* memory, size_t bytes) {
  return in_context(__func__, [=] { *memory = machine().allocate(bytes); });
}
Result cuMemFree_v2(DevicePtr memory) {
  return in_context(__func__, [=] { machine().free(memory); });
}
Result cuMemHostAlloc(void** memory, size_t bytes, unsigned) {
  return in_context(__func__, [=] { require(bytes > 0), *memory = machine().allocate_host(bytes); });
}
Result cuMemFreeHost(void* memory) {
  return in_context(__func__, [=] { machine().free_host(memory); });
}
Result cuMemcpyHtoDAsync_v2(DevicePtr to, const void* from, size_t bytes, StreamHandle stream) {
  return in_context(__func__, [=] { queue_upload(stream_of(stream), to, from, bytes); });
}
Result cuMemcpyDtoHAsync_v2(void* to, DevicePtr from, size_t bytes, StreamHandle stream) {
  return in_context(__func__, [=] { queue_download(stream_of(stream), to, from, bytes); });
}
Result cuMemcpyDtoDAsync_v2(DevicePtr to, DevicePtr from, size_t bytes, StreamHandle stream) {
  return in_context(__func__, [=] {
    const auto check = [=] {
      machine().device_bytes(from, bytes, "a copy"), machine().device_bytes(to, bytes, "a copy");
    };
    check();
    machine().queue(stream_of(stream), [=] {
      check();
      std::memmove(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), bytes);
    });
  });
}
Result cuMemcpy2DAsync_v2(const CopyRows* copy, StreamHandle stream) {
  return in_context(__func__, [=] {
    const CopyRows c = *copy;
    require(c.from_type == 2 && c.to_type == 2 && c.from_x + c.from_y + c.to_x + c.to_y == 0 &&
            c.width <= c.from_pitch && c.width <= c.to_pitch);
    const auto each = [c](const auto& row) {
      for (size_t r = 0; r < c.rows; ++r)
        row(machine().device_bytes(c.to + r * c.to_pitch, c.width, "a copy of rows"),
            machine().device_bytes(c.from + r * c.from_pitch, c.width, "a copy of rows"));
    };
    each([](auto*, auto*) {});
    machine().queue(stream_of(stream),
                    [=] { each([&](auto* to, const auto* from) { std::memcpy(to, from, c.width); }); });
  });
}
Result cuMemsetD8Async(DevicePtr to, unsigned char value, size_t bytes, StreamHandle stream) {
  return in_context(__func__, [=] {
    machine().device_bytes(to, bytes, "a fill");
    machine().queue(stream_of(stream), [=] { std::memset(machine().device_bytes(to, bytes, "a fill"), value, bytes); });
  });
}

Result cuStreamCreate(StreamHandle* stream, unsigned flags) {
  return in_context(__func__, [=] {
    require(flags == kStreamNonBlocking);
    *stream = reinterpret_cast<StreamHandle>(machine().add_stream());
  });
}
Result cuStreamDestroy_v2(StreamHandle stream) {
  return in_context(__func__, [=] { machine().remove_stream(&stream_of(stream)); });
}
Result cuStreamSynchronize(StreamHandle stream) {
  return in_context(__func__, [=] {
    Stream& s = stream_of(stream);
    require_no_capture(s, "cuStreamSynchronize");
    machine().run_until([&] { return s.queue.empty(); });
  });
}
Result cuStreamWaitEvent(StreamHandle stream, EventHandle event, unsigned) {
  return in_context(__func__, [=] { machine().wait_for(stream_of(stream), machine().event(event)); });
}
Result cuStreamBeginCapture_v2(StreamHandle stream, int) {
  return in_context(__func__, [=] {
    Stream& s = stream_of(stream);
    require_no_capture(s, "cuStreamBeginCapture");
    s.capture = std::make_shared<Capture>();
    s.capture->lanes.push_back(&s);
    s.lane = 0;
  });
}
Result cuStreamEndCapture(StreamHandle stream, GraphHandle* graph) {
  return in_context(__func__, [=] {
    Stream& s = stream_of(stream);
    require(s.capture && s.lane == 0);
    *graph = reinterpret_cast<GraphHandle>(machine().add_graph(machine().end_capture(s), false));
  });
}

Result cuEventCreate(EventHandle* event, unsigned flags) {
  return in_context(__func__, [=] {
    *event = reinterpret_cast<EventHandle>(machine().add_event((flags & kEventDisableTiming) == 0));
  });
}
Result cuEventDestroy_v2(EventHandle event) {
  return in_context(__func__, [=] { machine().remove_event(&machine().event(event)); });
}
Result cuEventRecord(EventHandle event, StreamHandle stream) {
  return in_context(__func__, [=] { machine().record(stream_of(stream), machine().event(event)); });
}
Result cuEventSynchronize(EventHandle event) {
  return in_context(__func__, [=] {
    const std::shared_ptr<Record> last = machine().event(event).last;
    if (last) machine().run_until([&] { return last->done; });
  });
}
Result cuEventQuery(EventHandle event) {
  return in_context(__func__, [=] {
    const std::shared_ptr<Record> last = machine().event(event).last;
    if (!last || last->done) return;
    machine().look();
    if (!last->done) throw Failure{kNotReady};
  });
}
Result cuEventElapsedTime(float* milliseconds, EventHandle start, EventHandle end) {
  return in_context(__func__, [=] {
    const Event &a = machine().event(start), &b = machine().event(end);
    if (!a.timed || !b.timed || !a.last || !b.last) throw Failure{kInvalidHandle};
    if (!a.last->done || !b.last->done) throw Failure{kNotReady};
    *milliseconds = std::chrono::duration<float, std::milli>(b.last->time - a.last->time).count();
  });
}

Result cuLibraryLoadData(LibraryHandle* library, const void* image, int*, void**, unsigned, int*, void**, unsigned) {
  return in_context(__func__, [=] { *library = reinterpret_cast<LibraryHandle>(machine().add_library(image)); });
}
Result cuLibraryUnload(LibraryHandle library) {
  return in_context(__func__, [=] { machine().remove_library(&machine().library(library)); });
}
Result cuLibraryGetKernel(KernelHandle* kernel, LibraryHandle library, const char* name) {
  return in_context(__func__,
                    [=] { *kernel = reinterpret_cast<KernelHandle>(kernel_of(machine().library(library), name)); });
}
Result cuKernelGetFunction(FunctionHandle* function, KernelHandle kernel) {
  return in_context(__func__, [=] { *function = reinterpret_cast<FunctionHandle>(kernel); });
}
Result cuFuncSetAttribute(FunctionHandle function, int attribute, int value) {
  return in_context(__func__, [=] {
    require(attribute == kFunctionMaxDynamicShared && value <= machine().config().shared);
    reinterpret_cast<Kernel*>(function)->most_shared = value;
  });
}
Result cuFuncGetAttribute(int* value, int attribute, FunctionHandle) {
  return in_context(__func__, [=] {
    require(attribute == kFunctionBinaryVersion);
    *value = machine().config().binary;
  });
}
Result cuLaunchKernel(FunctionHandle function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                      unsigned block_y, unsigned block_z, unsigned shared_bytes, StreamHandle stream, void** params,
                      void** extra) {
  return in_context(__func__, [=] {
    const Kernel* const k = reinterpret_cast<const Kernel*>(function);
    require(grid_x > 0 && grid_y == 1 && grid_z == 1 && block_x > 0 && block_x <= 1024 && block_y == 1 && block_z == 1);
    require(params != nullptr && extra == nullptr && static_cast<int>(shared_bytes) <= k->most_shared);
    const auto* const bytes = static_cast<const unsigned char*>(params[0]);
    machine().queue(stream_of(stream), [=, copy = std::vector<unsigned char>(bytes, bytes + sizeof(moproc::Params))] {
      machine().run_kernel(*k, grid_x, block_x, shared_bytes, copy.data());
    });
  });
}

/// These two are only for libraries that replace others in tests (test/emulator/nccl).
Result cuStreamIsCapturing(StreamHandle stream, int* status) {
  return in_context(__func__, [=] { *status = stream_of(stream).capture ? 1 : 0; });
}
Result cuLaunchHostFunc(StreamHandle stream, void (*function)(void*), void* data) {
  return in_context(__func__, [=] { machine().queue(stream_of(stream), [=] { function(data); }); });
}

Result cuTensorMapEncodeTiled(TensorMap* map, int type, uint32_t rank, void* address, const uint64_t* extents,
                              const uint64_t* strides, const uint32_t* box, const uint32_t* steps, int interleave,
                              int swizzle, int, int fill) {
  return in_context(__func__, [=] {
    require(type == kTensorBf16 && interleave == kInterleaveNone && swizzle == kSwizzle128 && fill == kFillZeros);
    for (uint32_t i = 0; i < rank; ++i) require(steps[i] == 1);
    require(emulator::encode_box(map, rank, address, extents, strides, box));
  });
}
Result cuTensorMapEncodeIm2col(TensorMap* map, int type, uint32_t rank, void* address, const uint64_t* extents,
                               const uint64_t* strides, const int* lower, const int* upper, uint32_t channels,
                               uint32_t pixels, const uint32_t* steps, int interleave, int swizzle, int, int fill) {
  return in_context(__func__, [=] {
    require(type == kTensorBf16 && interleave == kInterleaveNone && swizzle == kSwizzle128 && fill == kFillZeros);
    require(rank == 4 && steps[0] == 1 && steps[3] == 1);
    require(emulator::encode_pixels(map, address, extents, strides, lower, upper, channels, pixels, steps + 1));
  });
}

Result cuGraphInstantiateWithFlags(GraphExecHandle* executable, GraphHandle graph, unsigned long long) {
  return in_context(__func__, [=] {
    Graph g = machine().graph(graph, false);
    for (int lane = 1; lane < g.lanes; ++lane) g.streams.push_back(machine().add_stream());
    *executable = reinterpret_cast<GraphExecHandle>(machine().add_graph(std::move(g), true));
  });
}
Result cuGraphLaunch(GraphExecHandle executable, StreamHandle stream) {
  return in_context(__func__, [=] {
    Stream& s = stream_of(stream);
    require_no_capture(s, "cuGraphLaunch");
    machine().launch_graph(machine().graph(executable, true), s);
  });
}
Result cuGraphExecDestroy(GraphExecHandle executable) {
  return in_context(__func__, [=] { machine().remove_graph(&machine().graph(executable, true), true); });
}
Result cuGraphDestroy(GraphHandle graph) {
  return in_context(__func__, [=] { machine().remove_graph(&machine().graph(graph, false), false); });
}

/// Errors of programs since the last call of moproc_emulator_clear(), one per line.
const char* moproc_emulator_problems() { return machine().problems().c_str(); }
void moproc_emulator_clear() { machine().problems().clear(); }
/// Number of calls of a function since the configuration was read; "bytes uploaded" counts bytes from page-locked
/// memory.
long long moproc_emulator_count(const char* call) { return machine().count(call); }
}
