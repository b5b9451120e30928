// What a run counts, keeps and draws, against numbers that were worked out here: averages of an epoch, which
// checkpoints are kept, synthetic batches, and the permutation of the keys of a step.
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>

#include "data/sampler.h"
#include "support.h"
#include "tap.h"
#include "toy_plan.h"
#include "train/checkpoint.h"
#include "train/meters.h"
#include "train/source.h"

using namespace moproc;
using namespace moproc::test;
using namespace moproc::train;

namespace {

constexpr size_t kFeatures = 48;  // bytes of one of the toy's images

/// All that a synthetic source makes, a step a text.
std::vector<std::string> made(const SyntheticOptions& o, bool strong) {
  std::vector<std::string> all;
  const auto source = make_synthetic_source(o);
  for (TrainBatch b; source->next(b);)
    all.emplace_back(static_cast<const char*>(strong ? b.img_aug : b.img), kFeatures * static_cast<size_t>(o.batch));
  return all;
}

SyntheticOptions toy_batches() {
  SyntheticOptions o;
  o.batch = 8, o.image_size = 4, o.num_class = 5, o.batches_per_epoch = 10, o.epochs = 2;
  return o;
}

}  // namespace

TEST("meters: shares are of the samples that count, and each sample is counted once") {
  // Kept as it is and right, twice; relabelled to the truth; dropped though right; dropped and wrong, twice; dropped,
  // relabelled and wrong; of no class and dropped, twice; of no class and kept; relabelled to another wrong class;
  // nobody knows.
  const int64_t given[] = {0, 0, 1, 2, 3, 2, 3, 4, 4, 4, 1, 1}, corrected[] = {0, 0, 2, 2, 3, 2, 1, 4, 4, 4, 3, 1};
  const float kept[] = {1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 1, 1};
  const int64_t truth[] = {0, 0, 2, 2, 1, 0, 2, kNoClass, kNoClass, kNoClass, 2, kUnknown};
  StepResult r;
  r.samples = 12, r.kept = 6;
  r.loss = 2, r.correct_cls = 2, r.correct_inst = 3, r.correct_proto = 1;
  r.target_new = corrected, r.kept_flags = kept;
  Meters m;
  m.add(r, given);
  m.add_truth(r, given, truth);
  CHECK_EQ(m.acc_cls.mean(), 100 * 2 / 6.0);
  CHECK_NEAR(m.acc_inst.mean(), 25, 1e-12);
  CHECK_EQ(m.acc_proto.mean(), 100 * 1 / 6.0);
  CHECK_EQ(m.samples, 12.0);
  CHECK_EQ(m.corrected, 2.0);
  CHECK_EQ(m.dropped, 6.0);
  CHECK_EQ(m.right, 3.0);
  CHECK_EQ(m.right_kept, 2.0);
  CHECK_EQ(m.wrong, 5.0);
  CHECK_EQ(m.wrong_corrected, 1.0);
  CHECK_EQ(m.wrong_dropped, 3.0);
  CHECK_EQ(m.out, 3.0);
  CHECK_EQ(m.out_dropped, 2.0);
  r.loss = 5;
  m.add(r, given);
  r.finite = false, r.loss = 1e9;
  m.add(r, given);
  m.add_truth(r, given, truth);
  CHECK_EQ(m.loss.mean(), 3.5);
  CHECK_EQ(m.loss.last, 5.0);
  CHECK_EQ(m.not_finite, 1.0);
  CHECK_EQ(m.samples, 24.0);
  CHECK_EQ(m.wrong, 5.0);
}

TEST("trainer: the last 3 epochs, every tenth and the newest within an epoch are kept; `last` leads to the newest") {
  ToyPlan toy;
  const auto left = [&](std::vector<std::string> more, const char* steps = "38") {
    Folder exp;
    more.insert(more.end(), {"--synthetic", "--steps", steps, "--checkpoint-every", "3", "--exp-dir", exp.path()});
    const Ran r = run_train(toy.plan(), more);
    CHECK_EQ(r.status, 0);
    std::string names, newest;
    for (const std::string& name : list(exp.path()))
      if (name.starts_with("checkpoint_")) names += name.substr(11, name.find('.') - 11) + " ", newest = name;
    CHECK_EQ(std::filesystem::read_symlink(exp / "last.safetensors").string(), newest);
    CHECK(has(r.out, "newest checkpoint: " + exp / newest));
    return names;
  };
  // Ends of epochs 0 to 2, and of epoch 3 steps 3, 6 and the last, 8.
  CHECK_EQ(left({}), "0000 0001 0002 0003_000003 0003_000006 0003_000008 ");
  CHECK_EQ(left({"--keep", "1"}), "0000 0001 0002 0003_000008 ");
  CHECK_EQ(left({"--keep", "2", "--keep-epochs", "1"}), "0002 0003_000006 0003_000008 ");
  CHECK_EQ(left({"--keep", "5", "--keep-epochs", "2"}),
           "0001 0002 0002_000006 0002_000009 0003_000003 0003_000006 0003_000008 ");
  CHECK_EQ(left({"--keep", "1"}, "145"), "0009 0011 0012 0013 0014_000005 ");
  CHECK_EQ(left({"--keep", "1", "--keep-every", "4", "--keep-epochs", "1"}, "145"), "0003 0007 0011 0013 0014_000005 ");
  CHECK_EQ(left({"--keep", "1", "--keep-every", "1"}, "55"), "0000 0001 0002 0003 0004 0005_000005 ");
}

TEST("trainer: a file of the user's called `last` is neither replaced nor followed") {
  ToyPlan toy;
  Folder exp;
  write_bytes(exp / "last.safetensors", "mine");
  const Ran r = run_train(toy.plan(), {"--synthetic", "--steps", "3", "--exp-dir", exp.path()});
  CHECK_EQ(r.status, 2);
  CHECK(has(r.err, "last.safetensors: exists, and is not moproc's link to the newest checkpoint"));
  CHECK_EQ(read_bytes(exp / "last.safetensors"), "mine");
  train::point_last_to(exp / "checkpoint_0000.safetensors");
  CHECK_EQ(read_bytes(exp / "last.safetensors"), "mine");
}

TEST("synthetic batches are a function of seed, step over all epochs, and view") {
  const auto plain = made(toy_batches(), false);
  REQUIRE(plain.size() == 20);
  std::map<std::string, int> different;
  for (const bool strong : {false, true})
    for (const uint64_t seed : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 32}) {
      SyntheticOptions o = toy_batches();
      o.seed = seed;
      for (const std::string& images : made(o, strong)) ++different[images];
    }
  CHECK_EQ(different.size(), size_t{2 * 3 * 20});
  SyntheticOptions later = toy_batches();
  later.start_epoch = 1, later.start_batch = 4, later.epochs = 1;
  CHECK(made(later, false) == std::vector<std::string>(plain.begin() + 14, plain.end()));
}

TEST("trainer: a step gets the permutation of keys of its number over all epochs, and of the run's seed") {
  ToyPlan toy;
  Folder exp;
  CHECK_EQ(run_train(toy.plan(), {"--synthetic", "--epochs", "2", "--steps", "20", "--seed", "6", "-p", "1",
                                  "--exp-dir", exp / "run"})
               .status,
           0);
  SyntheticOptions o = toy_batches();
  o.seed = 6;
  const auto keys = made(o, true);
  const auto steps = records(exp / "run/metrics.jsonl", "train");
  REQUIRE(steps.size() == 20);
  for (size_t s = 0; s < steps.size(); ++s) {
    const auto order = data::permutation(6, s, 8);
    double inst = 0;  // the toy's: a byte of the key, times 0.01 and the image's number
    for (size_t n = 0; n < 8; ++n) {
      const size_t from = kFeatures * static_cast<size_t>(order[n]);
      inst += static_cast<uint8_t>(keys[s][from + n]) * 0.01 * static_cast<double>(n + 1) / 8;
    }
    CHECK_NEAR(number_of(steps[s], "loss_inst"), inst, 1e-4);
  }
}
