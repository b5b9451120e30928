// The command line: every published flag, both spellings, and errors that name the flag.
#include "command/flags.h"
#include "core/error.h"
#include "tap.h"
#include "toy_plan.h"

using namespace moproc;
using namespace moproc::test;
using namespace moproc::train;

namespace {

Options parse(std::vector<const char*> args) {
  args.insert(args.begin(), "train");
  bool help = false;
  return parse_flags(static_cast<int>(args.size()), args.data(), help);
}

void check(std::vector<const char*> args) {
  ToyPlan toy;
  check_against(parse(std::move(args)), toy.plan());
}

}  // namespace

TEST("flags: --compat sets the first epoch of cleaning unless that is given, wherever it stands") {
  CHECK_EQ(parse({"--compat", "paper"}).start_clean_epoch, 10);
  CHECK_EQ(parse({"--compat", "released"}).start_clean_epoch, 11);
  CHECK_EQ(parse({"--compat", "paper", "--start_clean_epoch", "3"}).start_clean_epoch, 3);
  CHECK_EQ(parse({"--start_clean_epoch", "3", "--compat", "paper"}).start_clean_epoch, 3);
  CHECK_THROWS(parse({"--compat", "book"}), "known are paper and released");
}

TEST("flags: whose images of WebVision are used") {
  CHECK(parse({}).google && parse({}).flickr);
  CHECK(!parse({"--sources", "flickr"}).google && parse({"--sources", "flickr"}).flickr);
  CHECK(!parse({"--mini"}).flickr);
  const Options mini = parse({"--preset", "mini-webvision"});
  CHECK(mini.google && !mini.flickr);
  CHECK_EQ(mini.confirmed.num_class, int64_t{50});
  CHECK_THROWS(parse({"--sources", "bing"}), "a comma list of google and flickr");
  CHECK_THROWS(parse({"--num-class", "60", "--preset", "mini-webvision"}), "has 50 classes, --num-class says 60");
  CHECK_THROWS(parse({"--preset", "maxi"}), "known is mini-webvision");
}

TEST("flags: defaults are the published ones") {
  const Options o = parse({});
  CHECK_EQ(o.epochs, 90);
  CHECK_EQ(o.start_epoch, 0);
  CHECK_EQ(o.print_freq, 50);
  CHECK_EQ(o.start_clean_epoch, 11);
  CHECK((o.schedule == std::vector<int>{40, 80}));
  CHECK(!o.cosine);
  const Hyper& h = o.hyper;
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
  const Options o = parse({"--data",
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
  CHECK_EQ(o.data, "d");
  CHECK_EQ(o.exp_dir, "e");
  CHECK_EQ(o.confirmed.arch, "resnet50");
  CHECK_EQ(o.workers, 4);
  CHECK_EQ(o.confirmed.batch, int64_t{8});
  CHECK((o.schedule == std::vector<int>{1, 2}));
  CHECK_EQ(o.hyper.momentum, 0.8);
  CHECK_EQ(o.hyper.weight_decay, 1e-3);
  CHECK_EQ(*o.seed, UINT64_MAX);
  CHECK_EQ(o.confirmed.low_dim, int64_t{16});
  CHECK_EQ(o.confirmed.moco_queue, int64_t{64});
  CHECK_EQ(o.hyper.moco_m, 0.9);
  CHECK_EQ(o.hyper.proto_m, 0.8);
  CHECK_EQ(o.hyper.temperature, 0.2);
  CHECK_EQ(o.hyper.w_inst, 0.0);
  CHECK_EQ(o.hyper.w_proto, 0.5);
  CHECK_EQ(o.start_clean_epoch, 2);
  CHECK_EQ(o.hyper.pseudo_th, 0.6);
  CHECK_EQ(o.hyper.alpha, 0.25);
  CHECK(o.cosine);
  CHECK_EQ(o.launch.world_size, 1);
  CHECK_EQ(o.launch.rank, 0);
  CHECK_EQ(o.launch.dist_url, "tcp://x");
}

TEST("flags: errors name the flag") {
  CHECK_THROWS(parse({"--learning", "1"}), "unknown flag --learning");
  CHECK_THROWS(parse({"data"}), "'data' is no flag");
  CHECK_THROWS(parse({"--lr"}), "--lr needs a value");
  CHECK_THROWS(parse({"--lr", "--cos"}), "--lr needs a value");
  CHECK_THROWS(parse({"--lr", "fast"}), "--lr fast: not a number");
  CHECK_THROWS(parse({"--lr", "0.1x"}), "--lr 0.1x: not a number");
  CHECK_THROWS(parse({"--lr", "nan"}), "--lr nan");
  CHECK_THROWS(parse({"--lr", "inf"}), "--lr inf: out of range");
  CHECK_THROWS(parse({"--lr", "-1"}), "--lr -1: out of range");
  CHECK_THROWS(parse({"--epochs", "1.5"}), "--epochs 1.5: not a whole number");
  CHECK_THROWS(parse({"--epochs", "99999999999"}), "--epochs 99999999999: not a whole number");
  CHECK_THROWS(parse({"--alpha", "1.5"}), "--alpha 1.5: out of range");
  CHECK_THROWS(parse({"--seed", "-1"}), "--seed -1");
  CHECK_THROWS(parse({"--schedule", "1", "x"}), "--schedule x: not a whole number");
  CHECK_THROWS(parse({"--cos=1"}), "--cos takes no value");
  CHECK_THROWS(parse({"--lr", "1", "--learning-rate", "2"}), "--learning-rate is given twice");
  CHECK_THROWS(parse({"--world-size", "two"}), "--world-size two: not a whole number");
  CHECK_THROWS(parse({"--nproc-per-node", "0"}), "--nproc-per-node 0: out of range");
  CHECK_THROWS(parse({"--dist-backend", "carrier-pigeon"}), "known are nccl, gloo, mpi and shm");
  CHECK_THROWS(parse({"--save-every", "soon"}),
               "--save-every soon: not a number of steps, nor a time like 30s, 10m or 2h");
  CHECK_THROWS(parse({"--save-every", "xm"}), "--save-every x: not a number before the unit");
  CHECK_EQ(parse({"--save-every", "1.5h"}).save_seconds, 5400.0);
  CHECK_EQ(parse({"--checkpoint-every", "7"}).save_steps, int64_t{7});
  CHECK_THROWS(parse({"--gpu", "-1"}), "--gpu -1: out of range");
}

TEST("flags: what is compiled in may be confirmed, not changed") {
  check({"--synthetic", "-a", "toy", "-b", "8", "--num-class", "5", "--low-dim", "16", "--moco_queue", "64",
         "--image-size", "4", "--bn-groups", "2", "--width", "0.50"});
  CHECK_THROWS(check({"--synthetic", "--gpu", "0"}), "--gpu 0: this artefact is compiled for the CPU");
  CHECK_THROWS(check({"--synthetic", "-a", "resnet18"}), "--arch resnet18: this artefact holds toy");
  CHECK_THROWS(check({"--synthetic", "-b", "16"}), "--batch-size 16: this artefact is compiled with 8");
  CHECK_THROWS(check({"--synthetic", "--num-class", "50"}), "--num-class 50: this artefact is compiled with 5");
  CHECK_THROWS(check({"--synthetic", "--width", "1"}), "--width: this artefact is compiled with 0.5");
  CHECK_THROWS(check({"--synthetic", "--bn-groups", "1"}), "--bn-groups 1: this artefact is compiled with 2");
}

TEST("flags: contradictions and missing ones are said") {
  CHECK_THROWS(check({}), "--data DIR is needed");
  CHECK_THROWS(check({"--data", "d"}), "--exp-dir DIR is needed");
  CHECK_THROWS(check({"--data", "d", "--synthetic"}), "--synthetic and --data exclude each other");
  CHECK_THROWS(check({"--data", "d", "--evaluate"}), "--evaluate needs --resume");
  CHECK_THROWS(check({"--synthetic", "--resume", "auto"}), "--resume auto needs --exp-dir");
  CHECK_THROWS(check({"--synthetic", "--start-epoch", "90"}), "--start-epoch 90 leaves nothing of --epochs 90");
}

TEST("flags: --help lists every flag with its default") {
  bool help = false;
  const char* argv[] = {"train", "--help", "--nonsense"};
  parse_flags(3, argv, help);
  CHECK(help);
  const std::string text = help_text("train", Verb::train);
  for (const char* part : {"-b, --batch-size N", "--start_clean_epoch EPOCH", "[11]", "--schedule EPOCH...", "[40 80]",
                           "--wd, --weight-decay X"})
    CHECK(text.find(part) != std::string::npos);
}

TEST("flags: verbs have flags and defaults of their own") {
  const Options retrain = parse({"retrain", "--init_classifier", "reset"});
  CHECK(retrain.verb == Verb::retrain);
  CHECK_EQ(retrain.epochs, 15);
  CHECK_EQ(retrain.exp_dir, "experiment/cRT");
  CHECK((retrain.schedule == std::vector<int>{5, 10}));
  CHECK_EQ(retrain.hyper.lr, 0.01);
  CHECK_EQ(retrain.hyper.weight_decay, 0.0);
  CHECK(!retrain.keep_classifier);
  const Options clean = parse({"clean", "--pseudo_th=0.7"});
  CHECK(clean.verb == Verb::clean);
  CHECK_EQ(clean.hyper.pseudo_th, 0.7);
  CHECK_THROWS(parse({"clean", "--epochs", "3"}), "unknown flag --epochs");
  CHECK_THROWS(parse({"retrain", "--alpha", "0.5"}), "unknown flag --alpha");
  CHECK_THROWS(parse({"--annotation", "a.json"}), "unknown flag --annotation");
  CHECK(help_text("train", Verb::retrain).find("[5 10]") != std::string::npos);
}
