// The command line: every published flag, both spellings, errors that name the flag, and help.
#include <algorithm>

#include "command/clean_verb.h"
#include "command/help.h"
#include "command/parse.h"
#include "command/retrain_verb.h"
#include "command/train_verb.h"
#include "command/verbs.h"
#include "core/error.h"
#include "core/json.h"
#include "tap.h"
#include "toy_plan.h"
#include "verb_support.h"

using namespace moproc;
using namespace moproc::test;
using namespace moproc::command;

namespace {

TrainSettings parse(const std::vector<std::string>& args) { return parsed<TrainSettings>("train", args)->settings; }

void check(const std::vector<std::string>& args) {
  ToyPlan toy;
  const auto command = parsed<TrainSettings>("train", args);
  command->check();
  command->fits(toy.plan());
}

}  // namespace

TEST("flags: --compat sets the first epoch of cleaning unless that is given, wherever it stands") {
  CHECK_EQ(parse({"--compat", "paper"}).run.start_clean_epoch, 10);
  CHECK_EQ(parse({"--compat", "released"}).run.start_clean_epoch, 11);
  CHECK_EQ(parse({"--compat", "paper", "--start_clean_epoch", "3"}).run.start_clean_epoch, 3);
  CHECK_EQ(parse({"--start_clean_epoch", "3", "--compat", "paper"}).run.start_clean_epoch, 3);
  CHECK_THROWS(parse({"--compat", "book"}), "--compat book: must be paper or released");
}

TEST("flags: whose images of WebVision are used") {
  CHECK(parse({}).lists.google && parse({}).lists.flickr);
  CHECK(!parse({"--sources", "flickr"}).lists.google && parse({"--sources", "flickr"}).lists.flickr);
  CHECK(!parse({"--mini"}).lists.flickr);
  const TrainSettings mini = parse({"--preset", "mini-webvision"});
  CHECK(mini.lists.google && !mini.lists.flickr);
  CHECK_EQ(mini.confirmed.classes(), int64_t{50});
  CHECK_THROWS(parse({"--sources", "bing"}), "--sources bing: must be google, flickr or google,flickr");
  for (const auto& flags : {std::vector<std::string>{"--num-class", "60", "--preset", "mini-webvision"},
                            std::vector<std::string>{"--preset", "mini-webvision", "--num-class", "60"}})
    CHECK_THROWS(check(flags), "--preset has 50 classes, --num-class says 60");
  CHECK_THROWS(parse({"--preset", "maxi"}), "--preset maxi: must be mini-webvision");
}

TEST("flags: defaults are the published ones") {
  const TrainSettings o = parse({});
  CHECK_EQ(o.run.schedule.epochs, 90);
  CHECK_EQ(o.run.start_epoch, 0);
  CHECK_EQ(o.run.print_freq, 50);
  CHECK_EQ(o.run.start_clean_epoch, 11);
  CHECK((o.run.schedule.milestones == std::vector<int>{40, 80}));
  CHECK(!o.run.schedule.cosine);
  const train::Hyper& h = o.run.hyper;
  CHECK_EQ(h.lr, 0.1);
  CHECK_EQ(h.momentum, 0.9);
  CHECK_EQ(h.weight_decay, 1e-4);
  CHECK_EQ(h.moco_m, 0.999);
  CHECK_EQ(h.proto_m, 0.999);
  CHECK_EQ(h.temperature, 0.1);
  CHECK_EQ(h.alpha, 0.5);
  CHECK_EQ(h.pseudo_th, 0.8);
  CHECK_EQ(h.w_inst, 1.0);
  CHECK_EQ(h.w_proto, 1.0);
}

TEST("flags: a published command line is understood, in either spelling") {
  const TrainSettings o = parse({"--data",
                                 "d",
                                 "--exp-dir",
                                 "e",
                                 "-a",
                                 "resnet50",
                                 "--workers",
                                 "4",
                                 "--epochs",
                                 "3",
                                 "--start-epoch",
                                 "1",
                                 "-b",
                                 "8",
                                 "--lr",
                                 "0.05",
                                 "--schedule",
                                 "1",
                                 "2",
                                 "--momentum=0.8",
                                 "--wd",
                                 "1e-3",
                                 "-p",
                                 "7",
                                 "--resume",
                                 "auto",
                                 "--world-size",
                                 "1",
                                 "--rank",
                                 "0",
                                 "--dist-url",
                                 "tcp://x",
                                 "--dist-backend",
                                 "nccl",
                                 "--seed",
                                 "18446744073709551615",
                                 "--multiprocessing-distributed",
                                 "--num-class",
                                 "5",
                                 "--low_dim",
                                 "16",
                                 "--moco-queue",
                                 "64",
                                 "--moco_m",
                                 "0.9",
                                 "--proto-m",
                                 "0.8",
                                 "--temperature",
                                 "0.2",
                                 "--w_inst",
                                 "0",
                                 "--w-proto",
                                 "0.5",
                                 "--start-clean-epoch",
                                 "2",
                                 "--pseudo_th",
                                 "0.6",
                                 "--alpha",
                                 "0.25",
                                 "--cos"});
  CHECK_EQ(o.run.data, "d");
  CHECK_EQ(o.run.saving.exp_dir, "e");
  CHECK_EQ(o.confirmed.arch, "resnet50");
  CHECK_EQ(o.run.compute.workers, 4);
  CHECK_EQ(o.confirmed.batch, int64_t{8});
  CHECK((o.run.schedule.milestones == std::vector<int>{1, 2}));
  CHECK_EQ(o.run.hyper.momentum, 0.8);
  CHECK_EQ(o.run.hyper.weight_decay, 1e-3);
  CHECK_EQ(*o.run.seed, UINT64_MAX);
  CHECK_EQ(o.confirmed.low_dim, int64_t{16});
  CHECK_EQ(o.confirmed.moco_queue, int64_t{64});
  CHECK_EQ(o.run.hyper.moco_m, 0.9);
  CHECK_EQ(o.run.hyper.proto_m, 0.8);
  CHECK_EQ(o.run.hyper.temperature, 0.2);
  CHECK_EQ(o.run.hyper.w_inst, 0.0);
  CHECK_EQ(o.run.hyper.w_proto, 0.5);
  CHECK_EQ(o.run.start_clean_epoch, 2);
  CHECK_EQ(o.run.hyper.pseudo_th, 0.6);
  CHECK_EQ(o.run.hyper.alpha, 0.25);
  CHECK(o.run.schedule.cosine);
  CHECK_EQ(o.ranks.launch.world_size, 1);
  CHECK_EQ(o.ranks.launch.rank, 0);
  CHECK_EQ(o.ranks.launch.dist_url, "tcp://x");
}

TEST("flags: errors name the flag") {
  CHECK_THROWS(parse({"--learning", "1"}), "unknown flag --learning");
  CHECK_THROWS(parse({"data"}), "'data' is not a flag");
  CHECK_THROWS(parse({"--lr"}), "--lr needs a value");
  CHECK_THROWS(parse({"--lr", "--cos"}), "--lr needs a value");
  CHECK_THROWS(parse({"--lr", "fast"}), "--lr fast: not a number");
  CHECK_THROWS(parse({"--lr", "0.1x"}), "--lr 0.1x: not a number");
  CHECK_THROWS(parse({"--lr", "nan"}), "--lr nan");
  CHECK_THROWS(parse({"--lr", "inf"}), "--lr inf: must be a finite number, 0 or more");
  CHECK_THROWS(parse({"--lr", "-1"}), "--lr -1: must be 0 or more");
  CHECK_THROWS(parse({"--epochs", "1.5"}), "--epochs 1.5: not a whole number");
  CHECK_THROWS(parse({"--epochs", "99999999999"}),
               "--epochs 99999999999: is too large or too small; it must be between 1 and 2147483647");
  CHECK_THROWS(parse({"--alpha", "1.5"}), "--alpha 1.5: must be between 0 and 1");
  CHECK_THROWS(parse({"--seed", "-1"}), "--seed -1: must be 0 or more");
  CHECK_THROWS(parse({"--schedule", "1", "x"}), "--schedule x: not a whole number");
  CHECK_THROWS(parse({"--cos=1"}), "--cos takes no value");
  CHECK_THROWS(parse({"--lr", "1", "--learning-rate", "2"}), "--learning-rate is given twice");
  CHECK_THROWS(parse({"--world-size", "two"}), "--world-size two: not a whole number");
  CHECK_THROWS(parse({"--nproc-per-node", "0"}), "--nproc-per-node 0: must be between 1 and 4096");
  CHECK_THROWS(parse({"--dist-backend", "carrier-pigeon"}), "must be nccl, gloo, mpi or shm");
  for (const char* const text :
       {"soon", "xm", "1ms", "0", "0.5", "0s", "0.001s", "-1m", "nans", "infh", "1000001h", "s"})
    CHECK_THROWS(parse({"--save-every", text}),
                 std::string("--save-every ") + text +
                     ": must be a number of steps, 1 or more, or a time between 0.01s and 1000000h, such as 30s, 10m");
  CHECK_EQ(parse({"--save-every", "0.01s"}).run.saving.every_seconds, 0.01);
  CHECK_EQ(parse({"--save-every", "1.5h"}).run.saving.every_seconds, 5400.0);
  CHECK_EQ(parse({"--checkpoint-every", "7"}).run.saving.every_steps, int64_t{7});
  CHECK_THROWS(parse({"--gpu", "-1"}), "--gpu -1: must be 0 or more");
}

TEST("flags: what is compiled in may be confirmed, not changed") {
  check({"--synthetic", "-a", "toy", "-b", "8", "--num-class", "5", "--low-dim", "16", "--moco_queue", "64",
         "--image-size", "4", "--bn-groups", "2", "--width", "0.50"});
  CHECK_THROWS(check({"--synthetic", "--gpu", "0"}), "--gpu 0: this artefact is compiled for the CPU");
  CHECK_THROWS(check({"--synthetic", "-a", "resnet18"}), "--arch resnet18: this artefact holds toy");
  CHECK_THROWS(check({"--synthetic", "-b", "16"}), "--batch-size 16: this artefact is compiled with 8");
  CHECK_THROWS(check({"--synthetic", "--num-class", "50"}), "--num-class 50: this artefact is compiled with 5");
  CHECK_THROWS(check({"--synthetic", "--width", "1"}), "--width 1: this artefact is compiled with 0.5");
  CHECK_THROWS(check({"--synthetic", "--bn-groups", "1"}), "--bn-groups 1: this artefact is compiled with 2");
}

TEST("flags: contradictions and missing ones are said") {
  CHECK_THROWS(check({}), "--data DIR is needed");
  CHECK_THROWS(check({"--data", "d"}), "--exp-dir DIR is needed");
  CHECK_THROWS(check({"--data", "d", "--synthetic"}), "--synthetic and --data exclude each other");
  CHECK_THROWS(check({"--data", "d", "--evaluate"}), "--evaluate needs --resume");
  CHECK_THROWS(check({"--synthetic", "--resume", "auto"}), "--resume auto needs --exp-dir");
  CHECK_THROWS(check({"--synthetic", "--start-epoch", "90"}), "--start-epoch 90 leaves no epochs of --epochs 90");
}

TEST("flags: the nearest known flag is suggested, and so is the nearest verb") {
  CHECK_THROWS(parse({"--learning", "1"}), "unknown flag --learning; did you mean --learning-rate?");
  CHECK_THROWS(parse({"--momentun", "1"}), "unknown flag --momentun; did you mean --momentum?");
  CHECK_THROWS(parse({"--epohcs", "1"}), "unknown flag --epohcs; did you mean --epochs?");
  CHECK_THROWS(parse({"--xyzzy", "1"}), "unknown flag --xyzzy (--help lists all flags)");
  CHECK_THROWS(verb_named("retrian"), "unknown verb retrian; did you mean retrain? (the verbs are train, clean, ");
  CHECK_THROWS(verb_named("data"), "unknown verb data (the verbs are ");
  CHECK_EQ(nearest("--lr", {"--w"}), "");
}

TEST("flags: the verb comes first, and is train without one") {
  const char* const named[] = {"program", "clean", "--data", "d"};
  CHECK_EQ(request_of(4, named).verb.name, "clean");
  CHECK((request_of(4, named).flags == std::vector<std::string>{"--data", "d"}));
  const char* const bare[] = {"program", "--data", "d"};
  CHECK_EQ(request_of(3, bare).verb.name, "train");
  CHECK_EQ(request_of(3, bare).flags.size(), size_t{2});
  CHECK_EQ(request_of(1, bare).verb.name, "train");
  const char* const help[] = {"program", "lowshot", "--nonsense", "-h"};
  CHECK(asks_for_help(request_of(4, help).flags) && !asks_for_help(request_of(3, bare).flags));
}

TEST("flags: --help lists every flag once, with the default that the verb has") {
  const std::string text = help_text("train", verb_named("train"));
  for (const char* part : {"-b, --batch-size N", "--start_clean_epoch EPOCH", "[11]", "--schedule EPOCH...", "[40 80]",
                           "--wd, --weight-decay X"})
    CHECK(text.find(part) != std::string::npos);
  for (const Verb& v : verbs()) {
    const std::string page = help_text("train", v);
    std::vector<std::string> seen;
    const auto command = v.make();
    for (const Flag& f : command->flags.all()) {
      for (const std::string& n : f.names) {
        CHECK(std::find(seen.begin(), seen.end(), n) == seen.end());
        seen.push_back(n);
      }
      CHECK(!f.help.empty() && !f.section.empty());
      CHECK_EQ(f.unit.empty(), f.arity == Arity::none);
      if (!f.preset().empty()) CHECK(page.find("[" + f.preset() + "]\n") != std::string::npos);
    }
    CHECK(page.starts_with("usage: train"));
  }
}

TEST("flags: --json has the help page as data") {
  const Json json = parse_json(help_json(verb_named("finetune")), "help");
  const Json* rate = nullptr;
  for (const Json& f : *json.array())
    if (*f.find("names")->array()->front().string() == "--decay-rate") rate = &f;
  REQUIRE(rate);
  const auto is = [&](const char* key, const char* value) { CHECK_EQ(*rate->find(key)->string(), value); };
  is("section", "optimiser and images");
  is("unit", "X");
  is("default", "0.2");
  is("range", "between 0 and 1");
  is("recorded", "decay_rate");
  is("help", "factor of the learning rate at each epoch of --schedule");
  CHECK_EQ(json.array()->size(), verb_named("finetune").make()->flags.all().size());
}

TEST("flags: verbs have flags and defaults of their own") {
  const auto retrain = parsed<RetrainVerbSettings>("retrain", {"--init_classifier", "reset"});
  const RetrainVerbSettings& r = retrain->settings;
  CHECK_EQ(r.run.schedule.epochs, 15);
  CHECK_EQ(r.run.saving.exp_dir, "experiment/cRT");
  CHECK((r.run.schedule.milestones == std::vector<int>{5, 10}));
  CHECK_EQ(r.run.hyper.lr, 0.01);
  CHECK_EQ(r.run.hyper.weight_decay, 0.0);
  CHECK(!r.retrain.keep_classifier);
  CHECK_EQ(parsed<CleanVerbSettings>("clean", {"--pseudo_th=0.7"})->settings.clean.pseudo_th, 0.7);
  CHECK_THROWS(parsed<CleanVerbSettings>("clean", {"--epochs", "3"}), "unknown flag --epochs");
  CHECK_THROWS(parsed<RetrainVerbSettings>("retrain", {"--alpha", "0.5"}), "unknown flag --alpha");
  CHECK_THROWS(parse({"--annotation", "a.json"}), "unknown flag --annotation");
}
