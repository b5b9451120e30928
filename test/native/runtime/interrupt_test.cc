// Signals during training: the step is finished, a checkpoint records the position, and the continued run gives the
// bits of an undisturbed one. A kernel sends the signals, so that the step is known.
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include "formats/safetensors.h"
#include "support.h"
#include "tap.h"
#include "toy_plan.h"
#include "train/checkpoint.h"

using namespace moproc;
using namespace moproc::test;

namespace {

std::string metadata_of(const std::string& path, const char* key) {
  return formats::SafetensorsFile(path).metadata().at(key);
}

/// Three epochs of ten steps.
std::vector<std::string> flags(const std::string& exp, std::vector<std::string> more = {}) {
  more.insert(more.end(), {"--synthetic", "--epochs", "3", "--steps", "1000", "--start_clean_epoch", "2", "--seed", "9",
                           "--exp-dir", exp});
  return more;
}

/// The checkpoints of all epochs of both runs hold the same tensors and averages.
void check_equal(const std::string& one, const std::string& other) {
  for (int epoch = 0; epoch < 3; ++epoch)
    for (const char* key : {"sha256", "meters"}) {
      const std::string name = "/" + train::checkpoint_name(epoch, std::nullopt);
      CHECK_EQ(metadata_of(one + name, key), metadata_of(other + name, key));
    }
}

}  // namespace

TEST("interrupt: SIGTERM ends a run after its step; going on gives the bits of a run that was not stopped") {
  ToyPlan toy;
  Folder exp;
  CHECK_EQ(run_train(toy.plan(), flags(exp / "whole")).status, 0);
  const SignallingPlan stopped(toy.plan(), "toy_step", SIGTERM, 12);
  const Ran r = run_train(stopped.plan(), flags(exp / "cut"));
  CHECK_EQ(r.status, 75);
  CHECK_EQ(r.err, "train: stopping after this step; a second signal stops at once\n");
  const std::string saved = exp / "cut/checkpoint_0001_000003.safetensors";
  CHECK(has(r.out, "stopped by SIGTERM at epoch 1, step 3: " + saved + "; --resume auto continues there"));
  CHECK_EQ(metadata_of(saved, "samples"), "104");
  const auto records_of = records(exp / "cut/metrics.jsonl", "stopped");
  REQUIRE(records_of.size() == 1);
  CHECK_EQ(*records_of[0].find("signal")->string(), "SIGTERM");
  CHECK_EQ(number_of(records_of[0], "step"), 3.0);
  CHECK_EQ(run_train(toy.plan(), flags(exp / "cut", {"--resume", "auto"})).status, 0);
  check_equal(exp / "cut", exp / "whole");
}

TEST("interrupt: in the last step of an epoch its end is left to the run that goes on") {
  ToyPlan toy;
  Folder exp;
  CHECK_EQ(run_train(toy.plan(), flags(exp / "whole")).status, 0);
  const SignallingPlan stopped(toy.plan(), "toy_step", SIGINT, 9);
  CHECK_EQ(run_train(stopped.plan(), flags(exp / "cut")).status, 130);
  CHECK(exists(exp / "cut/checkpoint_0000_000010.safetensors"));
  CHECK(!exists(exp / "cut/checkpoint_0000.safetensors"));
  CHECK_EQ(run_train(toy.plan(), flags(exp / "cut", {"--resume", "auto"})).status, 0);
  check_equal(exp / "cut", exp / "whole");
  CHECK_EQ(records(exp / "cut/metrics.jsonl", "epoch").size(), size_t{3});
}

TEST("interrupt: SIGHUP stops like SIGTERM, but not if it was ignored at the start, as under nohup") {
  ToyPlan toy;
  Folder exp;
  const auto before = std::signal(SIGHUP, SIG_DFL);  // whatever started the tests may ignore it
  const SignallingPlan closed(toy.plan(), "toy_step", SIGHUP, 12);
  const Ran r = run_train(closed.plan(), flags(exp / "cut"));
  CHECK_EQ(r.status, 75);
  CHECK(has(r.out, "stopped by SIGHUP at epoch 1, step 3: " + (exp / "cut/checkpoint_0001_000003.safetensors")));
  std::signal(SIGHUP, SIG_IGN);
  const SignallingPlan ignored(toy.plan(), "toy_step", SIGHUP, 12);
  const Ran under_nohup = run_train(ignored.plan(), flags(exp / "whole"));
  std::signal(SIGHUP, before);
  CHECK_EQ(under_nohup.status, 0);
  CHECK(under_nohup.out.find("stopped") == std::string::npos);
  CHECK_EQ(run_train(toy.plan(), flags(exp / "cut", {"--resume", "auto"})).status, 0);
  check_equal(exp / "cut", exp / "whole");
}

TEST("interrupt: two signals at a time are one, and a run that is done is done") {
  ToyPlan toy;
  Folder exp;
  const SignallingPlan twice(toy.plan(), "toy_step", SIGINT, 3, 2);
  const Ran r = run_train(twice.plan(), {"--synthetic"});
  CHECK_EQ(r.status, 130);
  CHECK(has(r.out, "stopped by SIGINT at epoch 0, step 4: nothing was saved"));
  const SignallingPlan last(toy.plan(), "toy_step", SIGINT, 29);
  CHECK_EQ(run_train(last.plan(), flags(exp.path())).status, 130);  // the end of the epoch is left
  const SignallingPlan limit(toy.plan(), "toy_step", SIGINT, 3);
  CHECK_EQ(run_train(limit.plan(), {"--synthetic", "--steps", "4"}).status, 0);
  const SignallingPlan end(toy.plan(), "toy_step", SIGINT, 9);
  CHECK_EQ(run_train(end.plan(), {"--synthetic", "--steps", "10"}).status, 130);
}

TEST("interrupt: a second signal stops at once") {
  ToyPlan toy;
  Folder exp;
  const pid_t child = fork();
  if (child == 0) {
    const SignallingPlan insistent(toy.plan(), "toy_step", SIGINT, 3, 2, 400);
    run_train(insistent.plan(), flags(exp / "run"));
    _exit(1);
  }
  int status = 0;
  CHECK_EQ(waitpid(child, &status, 0), child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 130);
  for (const std::string& name : list(exp / "run")) CHECK(!name.ends_with(".safetensors"));
}
