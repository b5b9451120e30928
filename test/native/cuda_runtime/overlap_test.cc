// Two runs at a time: the inputs of the next are uploaded while one runs. The emulated streams run late and in random
// legal order, so a missing wait changes the results.
#include <stdexcept>

#include "cuda_support.h"
#include "tap.h"

using namespace moproc;
using namespace moproc::test;

namespace {

/// The same steps as run_phases(), a step started before the one before it is read.
std::vector<std::byte> run_overlapped(Session& s, int steps) {
  std::vector<std::byte> all;
  std::vector<int> programs;
  const auto finish = [&] {
    s.wait();
    const auto outputs = all_outputs(s, programs.front());
    all.insert(all.end(), outputs.begin(), outputs.end());
    programs.erase(programs.begin());
  };
  for (int i = 0; i < steps; ++i) {
    const int program = s.program(i % 3 == 0 ? "warmup" : i % 3 == 1 ? "proto" : "clean");
    feed(s, program, i);
    s.start(program);
    programs.push_back(program);
    if (static_cast<int>(programs.size()) == s.slots()) finish();
  }
  while (!programs.empty()) finish();
  const auto state = all_state(s);
  all.insert(all.end(), state.begin(), state.end());
  return all;
}

}  // namespace

TEST("overlap: runs started ahead give the bits of runs one by one, in any legal order of streams") {
  ToyPlan toy;
  CudaToyPlan cuda;
  Session cpu(toy.plan(), {.threads = 1});
  cpu.init_state(11);
  const auto expected = run_phases(cpu, 8);
  for (int seed = 0; seed < 20; ++seed) {
    const Emulated gpu("seed=" + std::to_string(seed));
    Session s(cuda.plan(), {.threads = 1, .profile = seed % 5 == 4});
    CHECK_EQ(s.slots(), 2);
    s.init_state(11);
    if (!CHECK(run_overlapped(s, 8) == expected)) note(false, __FILE__, __LINE__, "seed " + std::to_string(seed));
  }
  Session one(toy.plan(), {.threads = 1});
  one.init_state(11);
  CHECK_EQ(one.slots(), 1);
  CHECK(run_overlapped(one, 8) == expected);
}

TEST("overlap: slots are not written while a run may read them") {
  const Emulated gpu("seed=1");
  CudaToyPlan cuda;
  Session s(cuda.plan());
  s.init_state(2);
  CHECK_THROWS(s.wait(), "nothing was started");
  for (int i = 0; i < 2; ++i) feed(s, 0, i), s.start(0);
  CHECK_THROWS(s.start(0), "all slots are taken");
  CHECK_THROWS(s.run(0), "run() while a run is under way");
  CHECK_THROWS(s.data(s.input(0, "img")), "img: all slots are in use");
  s.wait();
  s.data(s.input(0, "img"));
  std::vector<std::byte> zeros(static_cast<size_t>(s.info(s.tensor("packed")).bytes));
  s.set(s.tensor("encoder_q.classifier.weight"), zeros);
  CHECK_THROWS(s.start(0), "state was set while a run was under way");
  s.wait();
  CHECK_THROWS(s.wait(), "nothing was started");
}

TEST("overlap: state that is read comes after all runs that were started") {
  CudaToyPlan cuda;
  std::vector<std::byte> expected;
  for (int seed = 0; seed < 4; ++seed) {
    const Emulated gpu("seed=" + std::to_string(seed));
    Session s(cuda.plan());
    s.init_state(2);
    for (int i = 0; i < 2; ++i) feed(s, 0, i), s.start(0);
    const auto state = all_state(s);
    s.wait(), s.wait();
    CHECK(all_state(s) == state);
    if (seed == 0) expected = state;
    CHECK(state == expected);
  }
}

TEST("overlap: a kept input is uploaded no more, and every later run reads it, whatever the slot") {
  CudaToyPlan cuda;
  std::vector<std::byte> expected;
  for (const bool keep : {false, true}) {
    const Emulated gpu(keep ? "seed=3" : "seed=0");
    Session s(cuda.plan());
    s.init_state(2);
    std::vector<std::byte> all;
    for (int i = 0; i < 5; ++i) {
      feed(s, 0, i);
      if (keep && i == 0)
        for (const char* name : {"img", "img_aug"}) s.keep(s.input(0, name));
      if (!keep) feed_images(s, 0, 0);
      const int64_t before = gpu.count("bytes uploaded");
      s.start(0);
      CHECK_EQ(gpu.count("bytes uploaded") - before > 2 * 8 * 48, !keep);  // more than the images
      if (i % 2 == 0) CHECK_THROWS(s.keep(s.input(0, "target")), "while nothing runs");
      s.wait();
      const auto outputs = all_outputs(s, 0);
      all.insert(all.end(), outputs.begin(), outputs.end());
    }
    CHECK_THROWS(s.keep(s.output(0, "loss")), "only an input can be kept");
    if (!keep) expected = all;
    CHECK(all == expected);
  }
}
