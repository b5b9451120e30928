// A session on the emulated GPU against the same session on the CPU, to the bit, because the toy kernels do the same
// arithmetic.
#include <stdexcept>

#include "core/check.h"
#include "core/error.h"
#include "cuda_support.h"
#include "tap.h"

using namespace moproc;
using namespace moproc::test;

TEST("cuda session: initial state is the CPU's") {
  const Emulated gpu("seed=1");
  ToyPlan toy;
  CudaToyPlan cuda;
  Session a(toy.plan(), {.threads = 1}), b(cuda.plan(), {.threads = 2});
  a.init_state(7), b.init_state(7);
  CHECK(all_state(a) == all_state(b));
}

TEST("cuda session: state is copied, logical and stored, and never seen") {
  const Emulated gpu("seed=2");
  ToyPlan toy;
  CudaToyPlan cuda;
  Session a(toy.plan(), {.threads = 1}), b(cuda.plan());
  a.init_state(3);
  for (const StateInfo& i : toy.plan().state) b.set(i.tensor, get(a, i.tensor));
  CHECK(all_state(a) == all_state(b));
  const int weight = b.tensor("encoder_q.conv1.weight");  // 4-D: its orders differ
  const auto logical = get(a, weight);
  std::vector<std::byte> stored(logical.size());
  b.read(weight, stored);
  CHECK(std::memcmp(stored.data(), a.data(weight), stored.size()) == 0);
  CHECK(stored != logical);
  b.write(weight, logical);
  b.read(weight, stored);
  CHECK(stored == logical);
  std::vector<std::byte> room;
  CHECK(std::memcmp(b.stored(weight, room).data(), logical.data(), logical.size()) == 0);
  CHECK_THROWS(b.data(weight), "encoder_q.conv1.weight is in the memory of Emulated GPU (sm_90)");
  CHECK_THROWS(b.set(weight, std::span(logical).first(7)), "f32[4,3,2,5] has 480 bytes, not 7");
  CHECK_THROWS(b.read(weight, std::span(stored).first(7)), "has 480 bytes, not 7");
}

TEST("cuda session: a GPU's memory is zero before state is set") {
  const Emulated gpu("");
  CudaToyPlan cuda;
  Session s(cuda.plan());
  for (const std::byte b : all_state(s)) CHECK(b == std::byte{0});
}

TEST("cuda session: captured, profiled and checked runs have the CPU's bits") {
  ToyPlan toy;
  CudaToyPlan cuda;
  Session a(toy.plan(), {.threads = 1});
  a.init_state(5);
  const auto expected = run_phases(a, 7);
  for (const auto& [seed, profile, check] : {std::tuple{0, false, false},
                                             {1, false, false},
                                             {2, true, false},
                                             {3, false, true},
                                             {4, true, true},
                                             {5, false, false}}) {
    const Emulated gpu("workers=2,seed=" + std::to_string(seed));
    Session b(cuda.plan(), {.profile = profile, .check = check});
    b.init_state(5);
    CHECK(run_phases(b, 7) == expected);
    CHECK_EQ(gpu.count("cuGraphInstantiateWithFlags"), profile || check ? 0 : cuda.plan().programs.size);
    CHECK_EQ(gpu.count("cuGraphLaunch"), profile || check ? 0 : 8);  // 7 and a refresh
  }
}

TEST("cuda session: copies, phases without blocks, shared memory, scalars, a workspace") {
  for (const char* config : {"seed=0", "seed=9"}) {
    const Emulated gpu(config);
    CudaToyPlan cuda;
    Session s(cuda.plan());
    s.init_state(1);
    const int mix = s.program("mix"), x = s.input(mix, "mix.x");
    std::vector<float> values(CudaToyPlan::kMix);
    float sum = 1;  // what running_var begins with
    for (int run = 0; run < 3; ++run) {
      for (size_t i = 0; i < values.size(); ++i)
        values[i] = static_cast<float>(i % 17) - 0.1f * static_cast<float>(run);
      s.set(x, std::as_bytes(std::span(values)));
      s.view<float>(s.input(mix, "mix.scale"))[0] = 1.25f;
      s.run(mix);
      const float total = CudaToyPlan::mix_total(values, 1.25f);
      CHECK_EQ(s.view<float>(s.output(mix, "total"))[0], total);
      for (size_t i = 0; i < values.size(); ++i)
        CHECK_EQ(s.view<float>(s.output(mix, "y"))[i], values[i] * 1.25f * 0.5f);
      sum += total;
      CHECK_EQ(floats(s, s.tensor("encoder_q.bn1.running_var"))[6], sum);
    }
  }
}

TEST("cuda session: inputs stay for the next run, and progress ends with all steps") {
  const Emulated gpu("");
  CudaToyPlan cuda;
  Session s(cuda.plan());
  const int mix = s.program("mix");
  s.view<float>(s.input(mix, "mix.x"))[0] = 8;
  std::vector<int> done;
  for (int run = 0; run < 3; ++run) {
    s.view<float>(s.input(mix, "mix.scale"))[0] = static_cast<float>(run);
    s.run(mix, [&](int n) { done.push_back(n); });
    CHECK_EQ(s.view<float>(s.output(mix, "total"))[0], 4.0f * static_cast<float>(run));
    CHECK_EQ(s.view<float>(s.input(mix, "mix.x"))[0], 8.0f);
  }
  CHECK(done == (std::vector<int>{4, 4, 4}));
  Session checked(cuda.plan(), {.check = true});
  done.clear();
  checked.run(mix, [&](int n) { done.push_back(n); });
  CHECK(done == (std::vector<int>{1, 2, 3, 4}));
}

TEST("cuda session: state that was set is refreshed before the next run") {
  const Emulated gpu("");
  CudaToyPlan cuda;
  Session s(cuda.plan());
  s.init_state(4);
  feed(s, 0, 0);
  s.run(0);
  const int weight = s.tensor("encoder_q.classifier.weight"), packed = s.tensor("packed");
  std::vector<std::byte> zeros(static_cast<size_t>(s.info(weight).bytes));
  s.set(weight, zeros);
  CHECK(get(s, packed) != zeros);
  s.refresh();
  CHECK(get(s, packed) == zeros);
  zeros[0] = std::byte{1};
  s.write(weight, zeros);
  s.refresh();
  CHECK(get(s, packed) == zeros);
}

TEST("cuda session: the profile has times, rates, predicted bytes and shares of the roofline") {
  CudaToyPlan cuda;
  const auto report = [&](const char* config) {
    const Emulated gpu(config);
    Session s(cuda.plan(), {.profile = true});
    for (int i = 0; i < 2; ++i) s.run(s.program("mix"));
    return s.profiler().report();
  };
  const std::string known = report("name=NVIDIA H200"), unknown = report("name=Some GPU");
  const auto has = [](const std::string& text, const char* part) {
    if (text.find(part) == std::string::npos) note(false, __FILE__, __LINE__, std::string(part) + " is not in " + text);
  };
  for (const std::string& text : {known, unknown})
    for (const char* part : {"profile of mix: 2 runs, ", "  predicted: 0.002 GB a run", "ms   share  TFLOP/s     GB/s",
                             "MB roofline  calls  template", "toy_scale  scale\n", "copy  copy\n", "1  toy_total\n"})
      has(text, part);
  has(known, "at 4800 GB/s and 165 TFLOP/s (data sheet)");  // f32: three products of tf32
  has(known, "% ");
  has(unknown, "this GPU's roofline is not known");
  has(unknown, "       -      1  toy_scale");
  CHECK(known.find("refresh") != std::string::npos);  // it ran, too
}

TEST("cuda session: --check names tensor, kernel, step and program as the CPU does") {
  const Emulated gpu("seed=6");
  CudaToyPlan cuda;
  Session s(cuda.plan(), {.check = true});
  s.init_state(1);
  try {
    s.run(s.program("broken"));
    CHECK(false);
  } catch (const NonFiniteError& e) {
    CHECK_EQ(std::string(e.what()), "losses[3] is not finite after kernel toy_nan of step poison in program broken");
  }
  s.view<float>(s.input(0, "hyper.lr"))[0] = INFINITY;
  CHECK_THROWS(s.run(0), "hyper.lr[0] is not finite before program warmup starts");
  feed(s, 0, 0);
  s.run(0);  // goes on
  CHECK(s.view<float>(s.output(0, "finite"))[0] == 1);
}

TEST("cuda session: memory is what the plan says") {
  const Emulated gpu("memory=1000000");
  CudaToyPlan cuda;
  const Plan& p = cuda.plan();
  Session s(p);
  const int64_t want = p.arena_bytes[0] + p.arena_bytes[1] + p.arena_bytes[2] + 3 * p.arena_bytes[3];
  CHECK_EQ(s.memory_bytes(), want);
  const DeviceMemoryUse use = s.device().memory_use();
  CHECK_EQ(use.planned, want);
  CHECK_EQ(use.taken, want);
  CHECK_EQ(use.free, 1000000 - want);
  CHECK_EQ(use.total, int64_t{1000000});
}
