// The emulated driver: it works late, notices forbidden calls, and reports what was not released.
#include <cstring>

#include "cuda/gpu.h"
#include "cuda/handles.h"
#include "cuda_toy.h"
#include "emulated.h"
#include "tap.h"

using namespace moproc;
using namespace moproc::test;
using cuda::DevicePtr;

namespace {

/// A driver with a context, two streams and 64 bytes of device and page-locked memory.
struct Bench {
  CudaToyPlan plan;
  cuda::Driver d{plan.plan()};
  cuda::Gpu gpu{d, 0};
  cuda::Stream one = cuda::make_stream(d), two = cuda::make_stream(d);
  cuda::Memory memory = cuda::make_memory(d, 64, "a test");
  cuda::PinnedMemory host = cuda::make_pinned(d, 64, "a test");
  unsigned char* bytes() const { return static_cast<unsigned char*>(host.get()); }
};

}  // namespace

TEST("emulated driver: a copy that nobody waits for is late") {
  const Emulated gpu("seed=0");
  Bench b;
  std::memset(b.bytes(), 1, 64);
  b.d.upload(b.memory.get(), b.bytes(), 64, b.one.get());
  std::memset(b.bytes(), 2, 64);  // too early
  b.d.download(b.bytes() + 32, b.memory.get(), 1, b.one.get());
  CHECK_EQ(int{b.bytes()[32]}, 2);  // not there yet
  b.bytes()[32] = 9;
  b.d.stream_synchronize(b.one.get());
  CHECK_EQ(int{b.bytes()[32]}, 2);  // what was uploaded is what the host had when the copy ran
}

TEST("emulated driver: fresh memory is poison, pageable memory is read at once") {
  const Emulated gpu("seed=0");
  Bench b;
  unsigned char pageable[4] = {5, 6, 7, 8}, seen[8] = {};
  b.d.upload(b.memory.get(), pageable, 4, b.one.get());
  pageable[0] = 0;
  b.d.download(seen, b.memory.get(), 8, b.one.get());
  CHECK_EQ(int{seen[0]}, 5);
  CHECK_EQ(int{seen[7]}, 0xff);
}

TEST("emulated driver: streams without an event run in any order, with one in its order") {
  int swapped = 0;
  for (int seed = 1; seed <= 20; ++seed) {
    for (const bool event : {false, true}) {
      const Emulated gpu("seed=" + std::to_string(seed));
      Bench b;
      const cuda::Event e = cuda::make_event(b.d, false);
      b.d.fill(b.memory.get(), 1, 64, b.one.get());
      if (event) b.d.event_record(e.get(), b.one.get()), b.d.stream_wait(b.two.get(), e.get(), 0);
      b.d.fill(b.memory.get(), 2, 64, b.two.get());
      b.d.stream_synchronize(b.two.get());
      b.d.stream_synchronize(b.one.get());
      unsigned char seen = 0;
      b.d.download(&seen, b.memory.get(), 1, b.one.get());
      if (event) CHECK_EQ(int{seen}, 2);
      else swapped += seen == 1;
    }
  }
  CHECK(swapped > 2 && swapped < 18);
}

TEST("emulated driver: memory that is not allocated, leaks, other threads' contexts") {
  Emulated gpu("seed=0");
  {
    Bench b;
    CHECK_THROWS(b.d.fill(b.memory.get() + 1, 0, 64, b.one.get()), "CUDA_ERROR_INVALID_VALUE");
    has(gpu.problems(), "a fill of 64 bytes at an address that is no device memory");
    CHECK_THROWS(b.d.fill(b.memory.get(), 0, 8, nullptr), "CUDA_ERROR_INVALID_HANDLE");
    has(gpu.problems(), "the default stream is used");
    {
      const cuda::Memory gone = cuda::make_memory(b.d, 64, "a test");
      b.d.fill(gone.get(), 0, 64, b.one.get());
    }
    CHECK_EQ(gpu.problems(), "");  // freeing waits
    DevicePtr leaked = 0;
    b.d.memory_alloc(&leaked, 100);
    b.d.context_use(nullptr);
    CHECK_THROWS(b.d.memory_alloc(&leaked, 100), "CUDA_ERROR_INVALID_CONTEXT");
    has(gpu.problems(), "cuMemAlloc_v2 by a thread without a current context");
    b.gpu.use();
  }
  CHECK_EQ(gpu.problems(), "leak: 1 device allocations left at the end of the context\n");
}

TEST("emulated driver: a capture records and runs nothing, and may not wait") {
  Emulated gpu("seed=0");
  Bench b;
  b.d.fill(b.memory.get(), 1, 64, b.one.get());
  b.d.stream_begin_capture(b.one.get(), cuda::kCaptureThreadLocal);
  b.d.fill(b.memory.get(), 3, 64, b.one.get());
  CHECK_THROWS(b.d.stream_synchronize(b.one.get()), "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED");
  has(gpu.problems(), "cuStreamSynchronize on a stream that is being captured");
  cuda::GraphHandle graph = nullptr;
  b.d.stream_end_capture(b.one.get(), &graph);
  const cuda::Graph owner(b.d, graph);
  cuda::GraphExecHandle executable = nullptr;
  b.d.graph_instantiate(&executable, graph, 0);
  const cuda::GraphExec owner2(b.d, executable);
  const auto seen = [&] {
    unsigned char byte = 0;
    b.d.download(&byte, b.memory.get(), 1, b.one.get());
    return int{byte};
  };
  CHECK_EQ(seen(), 1);
  for (int i = 0; i < 2; ++i) {
    b.d.graph_launch(executable, b.one.get());
    CHECK_EQ(seen(), 3);
    b.d.fill(b.memory.get(), 4, 64, b.one.get());
    CHECK_EQ(seen(), 4);
  }
}

TEST("emulated driver: a capture spreads to a stream that waits for it, and has to come back") {
  for (int seed = 0; seed < 20; ++seed) {
    Emulated gpu("seed=" + std::to_string(seed));
    Bench b;
    const cuda::Event fork = cuda::make_event(b.d, false), join = cuda::make_event(b.d, false);
    cuda::GraphHandle graph = nullptr;
    const auto capture = [&](bool joined) {
      b.d.stream_begin_capture(b.one.get(), cuda::kCaptureThreadLocal);
      b.d.fill(b.memory.get(), 1, 64, b.one.get());
      b.d.event_record(fork.get(), b.one.get());
      b.d.stream_wait(b.two.get(), fork.get(), 0);
      b.d.copy(b.memory.get() + 32, b.memory.get(), 16, b.two.get());  // 1, whatever follows on the first stream
      b.d.fill(b.memory.get() + 48, 2, 16, b.one.get());
      if (joined) {
        b.d.event_record(join.get(), b.two.get());
        b.d.stream_wait(b.one.get(), join.get(), 0);
      }
      b.d.fill(b.memory.get(), 3, 16, b.one.get());  // after the copy has read it
      b.d.stream_end_capture(b.one.get(), &graph);
    };
    CHECK_THROWS(capture(false), "CUDA_ERROR_STREAM_CAPTURE_UNJOINED");
    has(gpu.problems(), "before the stream that began it has waited for all others");
    capture(true);
    const cuda::Graph owner(b.d, graph);
    cuda::GraphExecHandle executable = nullptr;
    b.d.graph_instantiate(&executable, graph, 0);
    const cuda::GraphExec owner2(b.d, executable);
    for (int i = 0; i < 3; ++i) {
      b.d.graph_launch(executable, b.one.get());
      unsigned char seen[64] = {};
      b.d.download(seen, b.memory.get(), 64, b.one.get());
      for (int at = 0; at < 64; ++at) CHECK_EQ(int{seen[at]}, at < 16 ? 3 : at < 48 ? 1 : 2);
    }
    b.d.stream_begin_capture(b.one.get(), cuda::kCaptureThreadLocal);
    const cuda::Event outside = cuda::make_event(b.d, false);
    b.d.event_record(outside.get(), b.two.get());
    CHECK_THROWS(b.d.stream_wait(b.one.get(), outside.get(), 0), "CUDA_ERROR_STREAM_CAPTURE_ISOLATION");
    gpu.problems();
    b.d.stream_end_capture(b.one.get(), &graph);
    const cuda::Graph empty(b.d, graph);
  }
}

TEST("emulated driver: who asks for an event sees work go on") {
  const Emulated gpu("seed=0");
  Bench b;
  const cuda::Event e = cuda::make_event(b.d, false);
  for (int i = 0; i < 3; ++i) b.d.fill(b.memory.get(), static_cast<unsigned char>(i), 64, b.one.get());
  b.d.event_record(e.get(), b.one.get());
  int asked = 0;
  while (b.d.event_query.unchecked(e.get()) == cuda::kNotReady) ++asked;
  CHECK_EQ(asked, 3);
  CHECK_EQ(b.d.event_query.unchecked(e.get()), cuda::kSuccess);
}
