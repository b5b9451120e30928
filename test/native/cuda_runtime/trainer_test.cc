// The whole training binary on the emulated GPU: on a drawn data folder it must write the same checkpoints as the CPU,
// to the bit, with or without overlapping steps.
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "cuda_support.h"
#include "formats/safetensors.h"
#include "sample.h"
#include "support.h"
#include "tap.h"
#include "train/checkpoint.h"

using namespace moproc;
using namespace moproc::test;

namespace {

/// 5 classes, 45 training images (5 steps of 8 and 5 left over), 13 for validation.
struct Data {
  Folder folder;
  std::string path = folder / "data";
  Data() {
    tools::SampleOptions o;
    o.out = path, o.classes = 5, o.images = 45, o.val = 13, o.size = 24, o.noise = 0.3, o.ood = 0.2, o.threads = 1;
    tools::write_sample(o, [](int, int) {});
  }
};

std::vector<double> column(const std::string& path, const char* event, const char* key) {
  std::vector<double> values;
  for (const Json& r : records(path, event)) values.push_back(number_of(r, key));
  return values;
}

}  // namespace

TEST("cuda trainer: checkpoints, metrics and evaluations are the CPU's, steps overlapped or cut and resumed") {
  ToyPlan toy({.batch = 8, .groups = 2, .size = 16, .classes = 5});
  CudaToyPlan cuda({.batch = 8, .groups = 2, .size = 16, .classes = 5});
  Data data;
  const auto run = [&](const Plan& plan, const char* exp, std::vector<std::string> more) {
    more.insert(more.end(), {"--data", data.path, "--exp-dir", data.folder / exp, "--epochs", "3", "--seed", "3", "-j",
                             "1", "-p", "1", "--start_clean_epoch", "2", "--truth", data.path + "/truth.json"});
    const Ran r = run_train(plan, more);
    CHECK_EQ(r.err, "");
    return r;
  };
  run(toy.plan(), "cpu", {"--checkpoint-every", "2", "--keep", "99"});
  {
    const Emulated gpu("seed=4");
    const Ran r = run(cuda.plan(), "gpu", {"--checkpoint-every", "2", "--keep", "99"});
    has(r.out, "toy: toy, Emulated GPU (sm_90), 5 steps of 8 images per epoch");
    has(r.out, "upload buffers ");
    has(r.out, "Emulated GPU (sm_90): ");
  }
  {
    const Emulated gpu("seed=5");
    run(cuda.plan(), "cut", {"--steps", "3"});
    run(cuda.plan(), "cut", {"--resume", "auto", "--checkpoint-every", "2", "--steps", "4"});
  }
  CHECK_EQ(list(data.folder / "cut")[1], "checkpoint_0000_000003.safetensors");
  CHECK_EQ(list(data.folder / "cut")[2], "checkpoint_0000_000004.safetensors");
  run(toy.plan(), "cut", {"--resume", "auto"});  // what a GPU wrote, a CPU goes on with
  const std::string cpu = data.folder / "cpu";
  for (const char* other : {"gpu", "cut"})
    for (const char* name :
         {"checkpoint_0000.safetensors", "checkpoint_0001.safetensors", "checkpoint_0002.safetensors"})
      CHECK_EQ(sha_of(data.folder / other + "/" + name), sha_of(cpu + "/" + name));
  for (const char* name : {"checkpoint_0000_000002.safetensors", "checkpoint_0002_000004.safetensors"})
    CHECK_EQ(sha_of(data.folder / "gpu" + "/" + name), sha_of(cpu + "/" + name));
  const std::string mine = data.folder / "gpu/metrics.jsonl", theirs = cpu + "/metrics.jsonl";
  for (const char* key : {"step", "samples", "lr", "loss", "loss_cls", "acc_cls_avg"})
    CHECK(column(mine, "train", key) == column(theirs, "train", key));
  CHECK_EQ(column(mine, "train", "loss").size(), size_t{15});
  for (const char* key : {"correct1", "correct5", "images"})
    CHECK(column(mine, "evaluate", key) == column(theirs, "evaluate", key));
}

TEST("cuda trainer: a signal while steps are under way leaves the checkpoint of a step, to the CPU's bits") {
  ToyPlan toy({.batch = 8, .groups = 2, .size = 16, .classes = 5});
  CudaToyPlan cuda({.batch = 8, .groups = 2, .size = 16, .classes = 5});
  Data data;
  const auto flags = [&](const char* exp, std::vector<std::string> more) {
    more.insert(more.end(), {"--data", data.path, "--exp-dir", data.folder / exp, "--epochs", "100000", "--seed", "3",
                             "-j", "1", "-p", "1", "--start_clean_epoch", "2"});
    return more;
  };
  {
    const Emulated gpu("seed=4");
    const std::string log = data.folder / "gpu/metrics.jsonl";
    std::thread sender([&] {  // some step: which one does not matter
      while (!exists(log) || records(log, "train").size() < 3)
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      kill(getpid(), SIGTERM);
    });
    const Ran r = run_train(cuda.plan(), flags("gpu", {}));
    sender.join();
    CHECK_EQ(r.status, 75);
    CHECK_EQ(r.err, "train: stopping after this step; a second signal stops at once\n");
  }
  const std::string saved = train::newest_checkpoint(data.folder / "gpu");
  const auto of = [&](const char* key) { return formats::SafetensorsFile(saved).metadata().at(key); };
  const int64_t steps = std::stoll(of("epoch")) * 5 + std::stoll(of("step"));
  CHECK(steps >= 3);
  CHECK_EQ(run_train(toy.plan(), flags("cpu", {"--steps", std::to_string(steps)})).status, 0);
  CHECK_EQ(sha_of(train::newest_checkpoint(data.folder / "cpu")), sha_of(saved));
}

TEST("cuda trainer: --synthetic uploads its images once and prints every step") {
  const Emulated gpu("seed=2");
  CudaToyPlan cuda({.batch = 8, .groups = 2, .size = 64, .classes = 5});
  const Ran r = run_train(cuda.plan(), {"--synthetic", "--steps", "6", "--seed", "1"});
  CHECK_EQ(r.status, 0);
  has(r.out, "note: --synthetic on a GPU: one batch stays there for all steps");
  has(r.out, "step 5 warmup  loss ");
  const int64_t images = 2 * 8 * 64 * 64 * 3;                  // both views
  CHECK(gpu.count("bytes uploaded") < 2 * images + 6 * 2000);  // once to each of two slots
  CHECK(gpu.count("bytes uploaded") > 2 * images);
}

TEST("cuda trainer: --profile, --check and bad steps") {
  CudaToyPlan cuda;
  {
    const Emulated gpu("seed=1,name=NVIDIA A100-SXM4-80GB");
    const Ran r = run_train(cuda.plan(), {"--synthetic", "--steps", "3", "--profile"});
    CHECK_EQ(r.status, 0);
    for (const char* part : {"profile of warmup: 3 runs, ", "at 2039 GB/s and 52 TFLOP/s", "toy_step  classifier"})
      has(r.out, part);
  }
  {
    const Emulated gpu("seed=1");
    const Ran r = run_train(cuda.plan(), {"--synthetic", "--steps", "3", "--check", "--lr", "1e38", "--wd", "1e38"});
    CHECK_EQ(r.status, 1);
    has(r.err, "is not finite after kernel toy_step of step classifier in program warmup");
  }
  const Emulated gpu("seed=1");
  const Ran r = run_train(cuda.plan(), {"--synthetic", "--steps", "4", "--lr", "1e38", "--wd", "1e38"});
  CHECK_EQ(r.status, 0);
  has(r.out, "gradients or losses are not finite; the update was skipped");
}

TEST("cuda trainer: bad input is one line and exit status 2") {
  CudaToyPlan cuda;
  const Emulated gpu("devices=1");
  const Ran r = run_train(cuda.plan(), {"--synthetic", "--steps", "1", "--gpu", "3"});
  CHECK_EQ(r.status, 2);
  CHECK_EQ(r.err, "train: --gpu 3: the driver shows 1 GPU, numbered from 0 (CUDA_VISIBLE_DEVICES hides others)\n");
  ToyPlan toy;
  const Ran cpu = run_train(toy.plan(), {"--synthetic", "--steps", "1", "--gpu", "0"});
  CHECK_EQ(cpu.status, 2);
  has(cpu.err, "--gpu 0: this artefact is compiled for the CPU");
}
