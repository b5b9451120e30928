// The whole binary on a drawn WebVision folder: loader, evaluation, truth, resume in the middle of an epoch.
#include <algorithm>
#include <csignal>

#include "data/data_folder.h"
#include "sample.h"
#include "support.h"
#include "tap.h"
#include "toy_plan.h"
#include "train/meters.h"
#include "train/truth.h"

using namespace moproc;
using namespace moproc::test;

namespace {

/// 5 classes, 85 training images (10 steps of 8 and 5 left over), 21 for validation (2 whole batches and 5).
struct Data {
  Folder folder;
  std::string path = folder / "web vision";  // with a space
  Data() {
    tools::SampleOptions o;
    o.out = path, o.classes = 5, o.images = 85, o.val = 21, o.size = 24, o.noise = 0.3, o.ood = 0.2, o.threads = 1;
    tools::write_sample(o, [](int, int) {});
  }
};

}  // namespace

TEST("training: epochs, exact evaluation with a partial batch, published tags, truth") {
  ToyPlan toy({.batch = 8, .groups = 2, .size = 16, .classes = 5});
  Data data;
  const std::string exp = data.folder / "exp";
  const Ran r = run_train(toy.plan(), {"--data", data.path, "--exp-dir", exp, "--epochs", "3", "--start_clean_epoch",
                                       "2", "--truth", data.path + "/truth.json", "-p", "5", "-j", "2"});
  CHECK_EQ(r.status, 0);
  CHECK_EQ(r.err, "");
  CHECK(has(r.out, "10 steps of 8 images per epoch"));
  CHECK(has(r.out, "Epoch: [1][    6/10]  images/s "));
  const auto evaluations = records(exp + "/metrics.jsonl", "evaluate");
  REQUIRE(evaluations.size() == 3);
  for (const Json& e : evaluations) {
    CHECK_EQ(number_of(e, "images"), 21.0);
    CHECK_EQ(number_of(e, "top1"), 100 * number_of(e, "correct1") / 21);
    CHECK_EQ(number_of(e, "correct5"), 21.0);  // there are five classes
  }
  const auto epochs = records(exp + "/metrics.jsonl", "epoch");
  CHECK_EQ(number_of(epochs[2], "samples"), 240.0);
  CHECK(number_of(epochs[2], "out_of_class_dropped") >= 0);
  CHECK(number_of(epochs[2], "wrong_labels_corrected") >= 0);
  CHECK(epochs[1].find("wrong_labels_corrected") == nullptr);
  std::string events;
  for (const std::string& name : list(exp))
    if (name.starts_with("events.")) events = read_bytes(exp + "/" + name);
  for (const char* tag : {"Train Acc", "Instance Acc", "Prototype Acc", "WebVision top1 Acc", "WebVision top5 Acc"})
    CHECK(has(events, tag));

  const Ran only =
      run_train(toy.plan(), {"--data", data.path, "--evaluate", "--resume", exp + "/checkpoint_0002.safetensors",
                             "--threads", "3", "--json-log", data.folder / "e.jsonl"});
  CHECK_EQ(only.status, 0);
  CHECK_EQ(number_of(records(data.folder / "e.jsonl", "evaluate")[0], "correct1"),
           number_of(evaluations[2], "correct1"));
}

TEST("training: resumed within an epoch on other threads, the bits are the same") {
  ToyPlan toy({.batch = 8, .groups = 2, .size = 16, .classes = 5});
  Data data;
  const auto run = [&](const char* exp, std::vector<std::string> more) {
    more.insert(more.end(), {"--data", data.path, "--exp-dir", data.folder / exp, "--epochs", "2", "--seed", "3"});
    const Ran r = run_train(toy.plan(), more);
    if (r.status != 0) note(false, __FILE__, __LINE__, r.err);
  };
  run("whole", {"-j", "1", "--threads", "1"});
  run("cut", {"-j", "2", "--threads", "2", "--steps", "4"});
  run("cut", {"-j", "1", "--threads", "2", "--resume", "auto", "--steps", "9"});
  run("cut", {"-j", "2", "--threads", "1", "--resume", "auto"});
  for (const char* name : {"/checkpoint_0000.safetensors", "/checkpoint_0001.safetensors"})
    CHECK_EQ(sha_of(data.folder / "cut" + name), sha_of(data.folder / "whole" + name));
}

TEST("training: a signal during validation voids it; the run that goes on repeats it") {
  ToyPlan toy({.batch = 8, .groups = 2, .size = 16, .classes = 5});
  Data data;
  const auto run = [&](const Plan& plan, const char* exp, std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--data", data.path, "--exp-dir", data.folder / exp, "--epochs", "2", "--seed", "3"});
    return run_train(plan, more);
  };
  CHECK_EQ(run(toy.plan(), "whole").status, 0);
  const SignallingPlan stopped(toy.plan(), "toy_evaluate", SIGINT, 1);  // the second of three batches
  CHECK_EQ(run(stopped.plan(), "cut").status, 130);
  CHECK_EQ(records(data.folder / "cut/metrics.jsonl", "evaluate").size(), size_t{0});
  CHECK(exists(data.folder / "cut/checkpoint_0000_000010.safetensors"));
  CHECK_EQ(run(toy.plan(), "cut", {"--resume", "auto"}).status, 0);
  for (const char* name : {"/checkpoint_0000.safetensors", "/checkpoint_0001.safetensors"})
    CHECK_EQ(sha_of(data.folder / "cut" + name), sha_of(data.folder / "whole" + name));
  const auto cut = records(data.folder / "cut/metrics.jsonl", "evaluate");
  const auto whole = records(data.folder / "whole/metrics.jsonl", "evaluate");
  REQUIRE(cut.size() == 2 && whole.size() == 2);
  for (size_t i = 0; i < 2; ++i) CHECK_EQ(number_of(cut[i], "correct1"), number_of(whole[i], "correct1"));
}

TEST("training: a broken image is reported by name, counted, and training goes on") {
  ToyPlan toy({.batch = 8, .groups = 2, .size = 16, .classes = 5});
  Data data;
  const data::Dataset list = data::read_webvision(data.path, data::Split::train, {.num_class = 5});
  write_bytes(list.folder() + "/" + std::string(list.name(7)), "no picture");
  const Ran r = run_train(
      toy.plan(), {"--data", data.path, "--exp-dir", data.folder / "exp", "--epochs", "1", "--max-broken", "5"});
  CHECK_EQ(r.status, 0);
  CHECK(has(r.err, std::string(list.name(7))));
  CHECK_EQ(number_of(records(data.folder / "exp/metrics.jsonl", "epoch")[0], "broken_files"), 1.0);
}

TEST("training: a run whose images cannot be read stops before it writes anything; a little is allowed") {
  ToyPlan toy({.batch = 8, .groups = 2, .size = 16, .classes = 5});
  Data data;
  const data::Dataset list = data::read_webvision(data.path, data::Split::train, {.num_class = 5});
  const std::string exp = data.folder / "exp";
  const auto train = [&](std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"--data", data.path, "--exp-dir", exp, "--epochs", "1", "--quiet"});
    return run_train(toy.plan(), flags);
  };
  const auto spoil = [&](size_t i, const std::string& bytes) {
    write_bytes(list.folder() + "/" + std::string(list.name(i)), bytes);
  };
  size_t of_class = 0;
  for (size_t i = 0; i < list.size(); ++i) {
    if (list.label(i) != 2) continue;
    spoil(i, of_class++ % 2 ? std::string("II*\0\x08\0\0\0", 8) : "");
  }
  const std::string numbers = std::to_string(of_class) + " of " + std::to_string(list.size()) + " training images (";
  Ran r = train({});
  CHECK_EQ(r.status, 2);
  CHECK(has(r.err, data.path + ": " + numbers));
  CHECK(has(r.err, "cannot be read, more than --max-broken 1 %"));
  CHECK(has(r.err, "(" + std::to_string(of_class) + " images)"));
  CHECK(has(r.err, std::to_string(of_class / 2) + " TIFF file"));
  CHECK(has(r.err, ": the file is empty"));
  CHECK(has(r.err, "`moproc data check '" + data.path + "'`"));
  CHECK(!exists(exp + "/metrics.jsonl"));
  r = train({"--max-broken", "99"});  // few enough in all, but there is a class without an image
  CHECK_EQ(r.status, 2);
  CHECK(has(r.err, "no image can be read of class"));
  CHECK_EQ(train({"--max-broken", "100"}).status, 0);
}

TEST("training: another list is refused within an epoch, and between epochs unless it is accepted") {
  ToyPlan toy({.batch = 8, .groups = 2, .size = 16, .classes = 5});
  Data data;
  const std::string exp = data.folder / "exp";
  CHECK_EQ(run_train(toy.plan(), {"--data", data.path, "--exp-dir", exp, "--epochs", "3", "--steps", "13"}).status, 0);
  const std::string list_file = data.path + "/info/train_filelist_google.txt";
  const std::string text = read_bytes(list_file);
  write_bytes(list_file, text.substr(text.find('\n') + 1));
  Ran r = run_train(toy.plan(), {"--data", data.path, "--exp-dir", exp, "--epochs", "3", "--resume", "auto"});
  CHECK_EQ(r.status, 2);
  CHECK(has(r.err, "training list"));
  r = run_train(toy.plan(), {"--data", data.path, "--exp-dir", exp, "--epochs", "3", "--resume",
                             exp + "/checkpoint_0000.safetensors", "--steps", "1", "--overwrite"});
  CHECK_EQ(r.status, 2);
  CHECK(has(r.err, "was made with other settings: training list "));
  r = run_train(toy.plan(), {"--data", data.path, "--exp-dir", exp, "--epochs", "3", "--resume",
                             exp + "/checkpoint_0000.safetensors", "--steps", "1", "--overwrite", "--accept-changes"});
  CHECK_EQ(r.status, 0);
  CHECK(has(r.out, "note: this run goes on with changes: training list "));
}

TEST("truth: the file is checked") {
  Data data;
  const data::Dataset list = data::read_webvision(data.path, data::Split::train, {.num_class = 5});
  const std::vector<int64_t> truth = train::read_truth(data.path + "/truth.json", list);
  CHECK_EQ(truth.size(), size_t{85});
  CHECK(std::count(truth.begin(), truth.end(), train::kNoClass) > 0);
  CHECK(std::count(truth.begin(), truth.end(), train::kUnknown) == 0);
  const auto refused = [&](const std::string& text, const std::string& says) {
    write_bytes(data.folder / "t.json", text);
    CHECK_THROWS(train::read_truth(data.folder / "t.json", list), says);
  };
  refused("{\"train\": {\"a.jpg\": 1}}", "names no image of the training list");
  refused("{\"train\": {\"a.jpg\": -1}}", "image a.jpg: neither a class nor null");
  refused("{\"val\": {}}", "has no object \"train\"");
  refused("{", "bad JSON");
  CHECK_THROWS(train::read_truth(data.folder / "none.json", list), "none.json");
}
