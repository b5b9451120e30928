// The training binary on the toy plan with --synthetic: output, resume to the bit, steps that are not finite, bad
// input.
#include <algorithm>

#include "formats/safetensors.h"
#include "session/session.h"
#include "support.h"
#include "tap.h"
#include "toy_plan.h"
#include "train/run_folder.h"

using namespace moproc;
using namespace moproc::test;

namespace {

/// Everything of a checkpoint that must not depend on how the run was cut or on threads.
std::string meters_of(const std::string& path) { return formats::SafetensorsFile(path).metadata().at("meters"); }

}  // namespace

TEST("trainer: --synthetic prints images/s, peak memory and the loss of each step, and the plan's memory") {
  ToyPlan toy;
  const Ran r = run_train(toy.plan(), {"--synthetic", "--steps", "3"});
  CHECK_EQ(r.status, 0);
  CHECK_EQ(r.err, "");
  for (const char* part : {"step 0 warmup  loss ", "step 2 warmup  loss ", "images/s", "peak ",
                           "memory of the plan:", "work: 4.1 kB, lower bound 4.0 kB (2.4 % above)"})
    CHECK(has(r.out, part));
  CHECK(r.out.find("step 3") == std::string::npos);
}

TEST("trainer: phases follow the epochs and a run leaves checkpoints, events and metrics") {
  ToyPlan toy;
  Folder exp;
  const Ran r = run_train(toy.plan(), {"--synthetic", "--epochs", "4", "--steps", "1000", "--start_clean_epoch", "2",
                                       "--exp-dir", exp / "run"});
  CHECK_EQ(r.status, 0);
  const auto epochs = records(exp / "run/metrics.jsonl", "epoch");
  REQUIRE(epochs.size() == 4);
  CHECK_EQ(*epochs[0].find("phase")->string(), "warmup");
  CHECK_EQ(*epochs[1].find("phase")->string(), "proto");
  CHECK_EQ(*epochs[2].find("phase")->string(), "clean");
  CHECK(number_of(epochs[3], "dropped") > 0);
  CHECK(epochs[1].find("dropped") == nullptr);
  CHECK_EQ(records(exp / "run/metrics.jsonl", "train").size(), size_t{40});
  const auto names = list(exp / "run");
  CHECK_EQ(names[0], "checkpoint_0001.safetensors");
  CHECK_EQ(names[2], "checkpoint_0003.safetensors");
  CHECK(names[3].starts_with("events.out.tfevents."));
  const std::string events = read_bytes(exp / ("run/" + names[3]));
  for (const char* tag : {"Train Acc", "Instance Acc", "Prototype Acc"}) CHECK(has(events, tag));
  CHECK(has(r.out, "noise: of 80 labels"));
}

TEST("trainer: a run cut anywhere and resumed ends with the same bits, on any number of threads") {
  ToyPlan toy;
  Folder exp;
  const std::vector<std::string> base{"--synthetic", "--epochs", "4", "--start_clean_epoch", "2", "--seed", "9",
                                      "--schedule",  "1",        "3"};
  const auto run = [&](const char* name, std::vector<std::string> more) {
    more.insert(more.end(), base.begin(), base.end());
    more.insert(more.end(), {"--exp-dir", exp / name});
    const Ran r = run_train(toy.plan(), more);
    if (r.status != 0) note(false, __FILE__, __LINE__, r.err);
  };
  run("whole", {"--steps", "34", "--threads", "1"});
  run("other", {"--steps", "34", "--threads", "3"});
  run("cut", {"--steps", "13", "--threads", "2"});
  CHECK_EQ(list(exp / "cut")[1], "checkpoint_0001_000003.safetensors");
  run("cut", {"--steps", "14", "--resume", "auto"});
  run("cut", {"--steps", "7", "--resume", exp / "cut/checkpoint_0002_000007.safetensors"});
  for (const char* name : {"checkpoint_0000.safetensors", "checkpoint_0001.safetensors", "checkpoint_0002.safetensors",
                           "checkpoint_0003_000004.safetensors"}) {
    const std::string whole = exp / ("whole/" + std::string(name));
    CHECK_EQ(sha_of(exp / ("other/" + std::string(name))), sha_of(whole));
    CHECK_EQ(sha_of(exp / ("cut/" + std::string(name))), sha_of(whole));
    CHECK_EQ(meters_of(exp / ("cut/" + std::string(name))), meters_of(whole));
  }
  CHECK(sha_of(exp / "whole/checkpoint_0000.safetensors") != sha_of(exp / "whole/checkpoint_0001.safetensors"));
}

TEST("trainer: --warmup-epochs raises the rate step by step, also across a checkpoint within the warm-up") {
  ToyPlan toy;
  Folder exp;
  const auto run = [&](const char* name, std::vector<std::string> more) {
    more.insert(more.end(), {"--synthetic", "--warmup-epochs", "2", "--lr", "0.5", "--exp-dir", exp / name});
    const Ran r = run_train(toy.plan(), more);
    if (r.status != 0) note(false, __FILE__, __LINE__, r.err);
  };
  run("whole", {"--steps", "25"});
  run("cut", {"--steps", "7"});
  run("cut", {"--steps", "18", "--resume", "auto"});
  const auto steps = records(exp / "whole/metrics.jsonl", "train");
  REQUIRE(steps.size() == 25);
  for (size_t i = 0; i < steps.size(); ++i)
    CHECK_NEAR(number_of(steps[i], "lr"), 0.5 * std::min(1.0, static_cast<double>(i + 1) / 20), 1e-15);
  CHECK_EQ(number_of(records(exp / "whole/metrics.jsonl", "start")[0], "warmup_epochs"), 2.0);
  const std::string last = "checkpoint_0002_000005.safetensors";
  CHECK_EQ(sha_of(exp / ("cut/" + last)), sha_of(exp / ("whole/" + last)));
}

TEST("trainer: what changes results is in the checkpoint and in the log, under one name") {
  ToyPlan toy;
  Folder exp;
  const Ran r = run_train(toy.plan(), {"--synthetic", "--steps", "3", "--decay-rate", "0.3", "--crop-min", "0.4",
                                       "--jitter", "0.1", "--gray", "0.6", "--cos", "--exp-dir", exp.path()});
  CHECK_EQ(r.status, 0);
  const formats::SafetensorsFile file(exp / "checkpoint_0000_000003.safetensors");
  const Json start = records(exp / "metrics.jsonl", "start")[0];
  const std::pair<const char*, const char*> given[] = {
      {"decay_rate", "0.3"}, {"crop_min", "0.4"}, {"jitter", "0.1"}, {"gray", "0.6"}};
  for (const auto& [key, value] : given) {
    CHECK_EQ(file.metadata().at(key), value);
    CHECK_EQ(number_of(start, key), std::stod(value));
  }
  CHECK_EQ(file.metadata().at("schedule"), "cosine");
  CHECK_EQ(*start.find("schedule")->string(), "cosine");
  CHECK_EQ(file.metadata().at("epochs"), "90");
  CHECK_EQ(file.metadata().at("w_inst"), "1");
  CHECK_EQ(file.metadata().at("start_clean_epoch"), "11");
  CHECK(!file.metadata().contains("mixup") && !start.find("label_smoothing"));
}

TEST("trainer: a resumed run takes its seed from the checkpoint, and says so when told otherwise") {
  ToyPlan toy;
  Folder exp;
  const auto run = [&](std::vector<std::string> args) {
    args.insert(args.begin(), {"--synthetic", "--exp-dir", exp.path()});
    return run_train(toy.plan(), args);
  };
  CHECK_EQ(run({"--seed", "4", "--steps", "10"}).status, 0);
  CHECK(has(run({"--resume", "auto", "--steps", "3"}).out, "seed 4"));
  Ran r = run({"--resume", exp / "checkpoint_0001_000003.safetensors", "--seed", "5", "--steps", "1"});
  CHECK_EQ(r.status, 2);
  CHECK(
      has(r.err, "was written within epoch 1, and its position in the epoch has no meaning with another seed 4 -> 5"));
  r = run({"--resume", exp / "checkpoint_0001_000003.safetensors", "--epochs", "1"});
  CHECK_EQ(r.status, 2);
  CHECK(has(r.err, "nothing is left of --epochs 1"));
  // a scheduler that starts a job again until it succeeds must see that it has
  const std::vector<std::string> before = list(exp.path());
  r = run({"--resume", "auto", "--epochs", "1"});
  CHECK_EQ(r.status, 0);
  CHECK(has(r.out, "all 1 epochs of this run are done: nothing is left to do; a larger --epochs continues it"));
  CHECK(list(exp.path()) == before);
  r = run({"--resume", exp / "checkpoint_0000.safetensors", "--seed", "5", "--steps", "1", "--overwrite"});
  CHECK_EQ(r.status, 2);
  CHECK(has(r.err, "was made with other settings: seed 4 -> 5. Give the same flags as then; or --accept-changes"));
  r = run({"--resume", exp / "checkpoint_0000.safetensors", "--seed", "5", "--steps", "1", "--overwrite",
           "--accept-changes"});
  CHECK_EQ(r.status, 0);
  CHECK(has(r.out, "note: this run goes on with changes: seed 4 -> 5\n"));
}

TEST("trainer: what differs from the run that is continued is one line; what changes the meaning needs consent") {
  ToyPlan toy;
  Folder exp;
  const auto run = [&](std::vector<std::string> args) {
    args.insert(args.begin(), {"--synthetic", "--exp-dir", exp.path(), "--resume", "auto", "--seed", "4"});
    return run_train(toy.plan(), args);
  };
  CHECK_EQ(run({"--steps", "3", "--jitter", "0.1"}).status, 0);
  Ran r = run({"--steps", "1", "--jitter", "0.1"});
  CHECK_EQ(r.status, 0);
  CHECK(r.out.find("goes on with changes") == std::string::npos);
  // A forgotten flag: the default would be taken in silence otherwise.
  const std::vector<std::string> before = list(exp.path());
  r = run({"--steps", "1", "--lr", "0.5"});
  CHECK_EQ(r.status, 2);
  CHECK(has(r.err, "was made with other settings: --jitter 0.1 -> 0.4. Give"));
  CHECK(list(exp.path()) == before);
  r = run({"--steps", "1", "--lr", "0.5", "--cos", "--epochs", "7", "--momentum", "0.8", "--accept-changes"});
  CHECK_EQ(r.status, 0);
  CHECK(has(r.out,
            "note: this run goes on with changes: --jitter 0.1 -> 0.4, --epochs 90 -> 7, --lr 0.1 -> 0.5, "
            "--schedule 40 80 -> cosine, --momentum 0.9 -> 0.8\n"));
  r = run({"--steps", "1", "--lr", "0.25"});
  CHECK_EQ(r.status, 0);  // only what may change
  CHECK(has(r.out, "note: this run goes on with changes: "));
}

TEST(
    "trainer: a folder has one run: another one needs --overwrite, which removes checkpoints and log of moproc alone") {
  ToyPlan toy;
  Folder exp;
  const auto run = [&](std::vector<std::string> args) {
    args.insert(args.begin(), {"--synthetic", "--exp-dir", exp.path(), "--seed", "4"});
    return run_train(toy.plan(), args);
  };
  CHECK_EQ(run({"--steps", "23"}).status, 0);
  const std::vector<std::string> before = list(exp.path());
  const Ran anew = run({"--steps", "5"});
  CHECK_EQ(anew.status, 2);
  CHECK(has(anew.err,
            ": holds a run up to checkpoint_0002_000003.safetensors; --resume auto continues it, --overwrite "
            "removes what this run does not continue, and another --exp-dir keeps both"));
  const Ran back = run({"--steps", "5", "--resume", exp / "checkpoint_0001.safetensors"});
  CHECK_EQ(back.status, 2);
  CHECK(has(back.err, "holds a run up to checkpoint_0002_000003.safetensors"));
  CHECK(list(exp.path()) == before);
  CHECK_EQ(run({"--steps", "5", "--resume", exp / "checkpoint_0002_000003.safetensors"}).status, 0);
  CHECK_EQ(run({"--steps", "1", "--evaluate", "--resume", exp / "checkpoint_0000.safetensors"}).status,
           2);  // no --data

  const Ran branch = run({"--steps", "5", "--resume", exp / "checkpoint_0000.safetensors", "--overwrite"});
  CHECK_EQ(branch.status, 0);
  CHECK(has(branch.out, "--overwrite: 3 checkpoints of another run were removed from"));
  CHECK(exists(exp / "checkpoint_0000.safetensors") && exists(exp / "checkpoint_0001_000005.safetensors"));
  CHECK(!exists(exp / "checkpoint_0001.safetensors"));
  const size_t lines = records(exp / "metrics.jsonl", "start").size();
  CHECK_EQ(lines, size_t{3});

  const Ran both = run({"--steps", "5", "--resume", "auto", "--overwrite"});
  CHECK_EQ(both.status, 2);
  CHECK(has(both.err, "--overwrite has no effect with --resume auto"));

  write_bytes(exp / "notes.txt", "mine");
  const Ran over = run({"--steps", "3", "--overwrite"});
  CHECK_EQ(over.status, 0);
  CHECK(has(over.out, "--overwrite: 2 checkpoints and the log of another run were removed from"));
  CHECK_EQ(records(exp / "metrics.jsonl", "start").size(), size_t{1});
  CHECK(exists(exp / "notes.txt") && exists(exp / "checkpoint_0000_000003.safetensors"));
  CHECK(!exists(exp / "checkpoint_0000.safetensors"));
}

TEST("trainer: of two processes that write to one folder the second is refused, and the lock ends with its owner") {
  ToyPlan toy;
  Folder exp;
  {
    const train::FolderLock owner(exp.path());
    const Ran r = run_train(toy.plan(), {"--synthetic", "--steps", "3", "--exp-dir", exp.path()});
    CHECK_EQ(r.status, 2);
    CHECK(has(r.err, "another process is writing a run there; wait for it, or give another --exp-dir"));
    CHECK(!exists(exp / "metrics.jsonl"));
  }
  CHECK_EQ(run_train(toy.plan(), {"--synthetic", "--steps", "3", "--exp-dir", exp.path()}).status, 0);
}

TEST("trainer: steps that are not finite are counted, reported, and change nothing but the key encoder") {
  ToyPlan toy;
  Folder exp;
  const Ran r = run_train(toy.plan(), {"--synthetic", "--steps", "3", "--w-inst", "1e38", "--exp-dir", exp.path()});
  CHECK_EQ(r.status, 0);
  CHECK(has(r.out, "epoch 0 step 2: gradients or losses are not finite; the update was skipped (3 so far)"));
  CHECK_EQ(number_of(records(exp / "metrics.jsonl", "train")[2], "not_finite"), 3.0);
  Session start(toy.plan(), {.threads = 1});
  start.init_state(0);
  const formats::SafetensorsFile file(exp / "checkpoint_0000_000003.safetensors");
  std::vector<std::byte> weight(960);
  start.get(start.tensor("encoder_q.classifier.weight"), weight);
  const auto saved = file.bytes(*file.find("encoder_q.classifier.weight"));
  CHECK(std::equal(saved.begin(), saved.end(), weight.begin(), weight.end()));
}

TEST("trainer: --max-skips counts steps in a row: one that is finite begins the count anew") {
  ToyPlan toy;
  Folder exp;
  const auto run = [&](const std::string& name, int most) {
    return run_train(toy.plan(), {"--synthetic", "--epochs", "6", "--steps", "60", "--w-inst", "4.1e37", "-p", "1",
                                  "--max-skips", std::to_string(most), "--exp-dir", exp / name});
  };
  CHECK_EQ(run("whole", 1000).status, 0);
  std::vector<bool> skipped;  // of each step
  double in_epoch = 0;
  for (const Json& r : records(exp / "whole/metrics.jsonl", "train")) {
    if (skipped.size() % 10 == 0) in_epoch = 0;
    skipped.push_back(number_of(r, "not_finite") > in_epoch);
    in_epoch = number_of(r, "not_finite");
  }
  REQUIRE(skipped.size() == 60);
  int all = 0, in_a_row = 0, longest = 0;
  size_t end = 0;  // steps up to the end of the first of the longest rows
  for (size_t i = 0; i < skipped.size(); ++i) {
    all += skipped[i];
    in_a_row = skipped[i] ? in_a_row + 1 : 0;
    if (in_a_row > longest) longest = in_a_row, end = i + 1;
  }
  REQUIRE(longest >= 2 && all > longest + 1);  // the images make both kinds of steps
  CHECK_EQ(run("on", longest + 1).status, 0);
  const Ran ends = run("ends", longest);
  CHECK_EQ(ends.status, 3);
  CHECK(has(ends.err, std::to_string(longest) + " steps in a row were not finite (--max-skips)"));
  CHECK_EQ(records(exp / "ends/metrics.jsonl", "train").size(), end - 1);  // the last one is told of in err
  const std::string files = read_bytes(exp / "ends/not_finite.jsonl");
  CHECK_EQ(std::count(files.begin(), files.end(), '\n'),
           std::count(skipped.begin(), skipped.begin() + static_cast<std::ptrdiff_t>(end), true));
}

TEST("trainer: plans with one program `train` run it in every epoch") {
  ToyPlan toy({.supervised = true});
  Folder exp;
  const Ran r = run_train(toy.plan(), {"--synthetic", "--epochs", "3", "--steps", "30", "--start_clean_epoch", "1",
                                       "--exp-dir", exp.path()});
  CHECK_EQ(r.status, 0);
  const auto epochs = records(exp / "metrics.jsonl", "epoch");
  REQUIRE(epochs.size() == 3);
  CHECK_EQ(*epochs[2].find("phase")->string(), "train");
  CHECK(number_of(epochs[2], "acc_cls_avg") > 0);
  CHECK(epochs[2].find("dropped") == nullptr);
}

TEST("trainer: a clean program without corrected labels is refused, not run blindly") {
  ToyPlan toy;
  Plan plan = toy.plan();
  std::vector<ProgramInfo> programs(plan.programs.begin(), plan.programs.end());
  programs[2].outputs.size -= 3;
  plan.programs.data = programs.data();
  const Ran r = run_train(plan, {"--synthetic"});
  CHECK_EQ(r.status, 2);
  CHECK(has(r.err, "program clean has no output target_out"));
}

TEST("trainer: checkpoints within an epoch") {
  ToyPlan toy;
  Folder exp;
  CHECK_EQ(run_train(toy.plan(), {"--synthetic", "--steps", "10", "--checkpoint-every", "4", "--exp-dir", exp.path()})
               .status,
           0);
  CHECK(exists(exp / "checkpoint_0000_000004.safetensors"));
  CHECK(exists(exp / "checkpoint_0000_000008.safetensors"));
  CHECK(exists(exp / "checkpoint_0000.safetensors"));
}

TEST("trainer: bad input ends with status 2 and a line that names it") {
  ToyPlan toy;
  Folder folder;
  write_bytes(folder / "file", "x");
  const auto refused = [&](std::vector<std::string> args, const std::string& says) {
    const Ran r = run_train(toy.plan(), args);
    CHECK_EQ(r.status, 2);
    CHECK(has(r.err, says));
    CHECK_EQ(std::count(r.err.begin(), r.err.end(), '\n'), std::ptrdiff_t{1});
  };
  refused({"--nonsense"}, "train: unknown flag --nonsense");
  refused({"--synthetic", "-b", "3"}, "--batch-size 3");
  refused({"--synthetic", "--exp-dir", folder / "file/sub"}, "file/sub: " + (folder / "file") + " is not a folder");
  refused({"--synthetic", "--exp-dir", "/proc"}, "--exp-dir /proc: cannot write there");
  refused({"--synthetic", "--json-log", "/dev/full"}, "cannot write /dev/full: No space left on device");
  refused({"--synthetic", "--resume", folder / "none"}, "cannot read " + (folder / "none"));
  refused({"--data", folder / "nowhere", "--exp-dir", folder / "e"}, folder / "nowhere");
  refused({"--data", folder.path(), "--exp-dir", folder / "e"}, "info");
}

TEST("trainer: --check and --profile") {
  ToyPlan toy;
  const Ran ok = run_train(toy.plan(), {"--synthetic", "--steps", "2", "--check", "--profile"});
  CHECK_EQ(ok.status, 0);
  CHECK(has(ok.out, "profile of warmup: 2 runs"));
  const Ran bad = run_train(toy.plan(), {"--synthetic", "--steps", "2", "--check", "--w-inst", "1e38"});
  CHECK_EQ(bad.status, 1);
  CHECK(has(bad.err, "warmup/loss[0] is not finite after kernel toy_step of step classifier in program warmup"));
}
